// ioredis: a stream with a consumer group; each entry is done exactly once, though a consumer dies.
import assert from "node:assert/strict";
import { close, connect } from "./connect-ioredis.mjs";

const redis = await connect();
const n = 200;
const fields = (entry) => Object.fromEntries([[entry[1][0], entry[1][1]]]);

// Producing, and reading without a group.
const ids = [];
for (let i = 0; i < 5; i++) ids.push(await redis.xadd("st:s", `${i + 1}-0`, "n", i));
assert.deepEqual(ids, ["1-0", "2-0", "3-0", "4-0", "5-0"]);
assert.equal(await redis.xlen("st:s"), 5);
assert.deepEqual(await redis.xrange("st:s", "2-0", "+", "COUNT", 2),
  [["2-0", ["n", "1"]], ["3-0", ["n", "2"]]]);
assert.deepEqual(await redis.xrevrange("st:s", "+", "-", "COUNT", 1), [["5-0", ["n", "4"]]]);
assert.deepEqual(await redis.xread("COUNT", 1, "STREAMS", "st:s", "st:none", "4-0", "0"),
  [["st:s", [["5-0", ["n", "4"]]]]]);
assert.equal(await redis.xread("BLOCK", 10, "STREAMS", "st:s", "$"), null);
assert.equal(await redis.xdel("st:s", "1-0"), 1);
assert.equal(await redis.xtrim("st:s", "MAXLEN", 2), 2);
assert.deepEqual(await redis.xrange("st:s", "-", "+"), [["4-0", ["n", "3"]], ["5-0", ["n", "4"]]]);
await assert.rejects(redis.xadd("st:s", "3-0", "n", 1), /equal or smaller than the target stream/);

// A reader that waits hears of what is added meanwhile, by another client.
const waiter = await connect();
const heard = waiter.xread("BLOCK", 30000, "STREAMS", "st:live", "0");
await redis.xadd("st:live", "7-0", "text", "hello");
assert.deepEqual(await heard, [["st:live", [["7-0", ["text", "hello"]]]]]);

// A group: consumers wait before there is anything, one dies with entries in its hands.
assert.equal(await redis.xgroup("CREATE", "st:jobs", "g", "$", "MKSTREAM"), "OK");
await assert.rejects(redis.xgroup("CREATE", "st:jobs", "g", "$"), /BUSYGROUP/);
const doomed = await connect();
const taken = doomed.xreadgroup("GROUP", "g", "doomed", "COUNT", 5, "BLOCK", 30000,
  "STREAMS", "st:jobs", ">");
await redis.xadd("st:jobs", "*", "n", 0);
assert.deepEqual(fields((await taken)[0][1][0]), { n: "0" });
const done = [];
const consume = async (name) => {
  const mine = await connect();
  while (done.length < n - 1) {
    const got = await mine.xreadgroup("GROUP", "g", name, "COUNT", 7, "BLOCK", 50,
      "STREAMS", "st:jobs", ">");
    for (const entry of got === null ? [] : got[0][1]) {
      done.push(Number(fields(entry).n));
      assert.equal(await mine.xack("st:jobs", "g", entry[0]), 1);
    }
  }
};
const consumers = ["a", "b", "c"].map(consume);
const adding = redis.pipeline();
for (let i = 1; i < n; i++) adding.xadd("st:jobs", "*", "n", i);
await adding.exec();
await Promise.all(consumers);
assert.deepEqual(done.sort((a, b) => a - b), Array.from({ length: n - 1 }, (_, i) => i + 1));

// What the dead one had is pending, is claimed, and done.
const [total, first, last, owners] = await redis.xpending("st:jobs", "g");
assert.deepEqual([total, first, owners], [1, last, [["doomed", "1"]]]);
const [[id, owner, idle, deliveries]] = await redis.xpending("st:jobs", "g", "-", "+", 10);
assert.ok(idle >= 0 && id === first);
assert.deepEqual([owner, deliveries], ["doomed", 1]);
doomed.disconnect();
const [next, claimed, deleted] = await redis.xautoclaim("st:jobs", "g", "a", 0, "0-0", "COUNT", 10);
assert.deepEqual([next, claimed, deleted], ["0-0", [[first, ["n", "0"]]], []]);
assert.deepEqual((await redis.xpending("st:jobs", "g", "-", "+", 10, "a"))[0].slice(0, 2),
  [first, "a"]);
assert.deepEqual(await redis.xclaim("st:jobs", "g", "b", 0, first, "JUSTID"), [first]);
assert.deepEqual(await redis.xreadgroup("GROUP", "g", "b", "STREAMS", "st:jobs", "0"),
  [["st:jobs", [[first, ["n", "0"]]]]]);
assert.equal(await redis.xack("st:jobs", "g", first), 1);
assert.equal((await redis.xpending("st:jobs", "g"))[0], 0);
assert.equal(await redis.xlen("st:jobs"), n);
assert.equal(await redis.xgroup("DELCONSUMER", "st:jobs", "g", "doomed"), 0);
assert.equal(await redis.xgroup("DESTROY", "st:jobs", "g"), 1);
await assert.rejects(redis.xreadgroup("GROUP", "g", "a", "STREAMS", "st:jobs", ">"), /NOGROUP/);

await close();
