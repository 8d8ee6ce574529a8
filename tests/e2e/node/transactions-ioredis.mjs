// ioredis: pipelines, MULTI, and WATCH with several clients that contend for a key.
import assert from "node:assert/strict";
import { close, connect } from "./connect-ioredis.mjs";

const redis = await connect();

// Replies of every kind, an error among them.
assert.deepEqual(
  await redis.pipeline().set("tx:k", "1").incr("tx:k").get("tx:k").get("tx:missing")
    .hset("tx:h", { f: "v" }).hgetall("tx:h").rpush("tx:l", "a", "b").lrange("tx:l", 0, -1)
    .mget("tx:k", "tx:missing").exec(),
  [[null, "OK"], [null, 2], [null, "2"], [null, null], [null, 1], [null, { f: "v" }], [null, 2],
    [null, ["a", "b"]], [null, ["2", null]]]);
const [ok, wrong, after] = await redis.pipeline([
  ["set", "tx:k", "word"], ["incr", "tx:k"], ["get", "tx:k"]]).exec();
assert.deepEqual([ok, after], [[null, "OK"], [null, "word"]]);
assert.match(wrong[0].message, /^ERR value is not an integer/);

// A long one, and one that ioredis makes by itself.
const long = redis.pipeline();
for (let i = 0; i < 2000; i++) long.set("tx:i", i).get("tx:i");
assert.ok((await long.exec()).every(([error, value], i) => (
  error === null && value === (i % 2 ? String((i - 1) / 2) : "OK"))));
const auto = await connect({ enableAutoPipelining: true });
const values = Array.from({ length: 500 }, (_, i) => `v${i}`);
await Promise.all(values.map((value, i) => auto.set(`tx:a${i}`, value)));
assert.deepEqual(await Promise.all(values.map((_, i) => auto.get(`tx:a${i}`))), values);

// MULTI: in one packet, command by command, and given up.
assert.deepEqual(
  await redis.multi().set("tx:k", "1").incrby("tx:k", 4).get("tx:k").hgetall("tx:h").exec(),
  [[null, "OK"], [null, 5], [null, "5"], [null, { f: "v" }]]);
const mixed = await redis.multi().set("tx:k", "word").incr("tx:k").get("tx:k").exec();
assert.equal(mixed[1][0].message, "ERR value is not an integer or out of range");
assert.deepEqual([mixed[0], mixed[2]], [[null, "OK"], [null, "word"]]);
await assert.rejects(redis.multi().set("tx:k", "2").call("NOSUCH").exec(), /EXECABORT/);
assert.equal(await redis.get("tx:k"), "word");
await redis.multi({ pipeline: false });
assert.equal(await redis.set("tx:k", "3"), "QUEUED");
assert.equal(await redis.get("tx:k"), "QUEUED");
assert.deepEqual(await redis.exec(), [[null, "OK"], [null, "3"]]);
await redis.multi({ pipeline: false });
await redis.set("tx:k", "4");
assert.equal(await redis.discard(), "OK");
assert.equal(await redis.get("tx:k"), "3");
await assert.rejects(redis.exec(), /EXEC without MULTI/);

// WATCH: five clients, each increment exactly once.
const log = [];
await Promise.all(Array.from({ length: 5 }, async () => {
  const mine = await connect();
  for (let done = 0; done < 15;) {
    await mine.watch("tx:counter", "tx:other");
    const next = Number(await mine.get("tx:counter")) + 1;
    if (await mine.multi().set("tx:counter", next).rpush("tx:log", next).exec() !== null) {
      log.push(next);
      done++;
    }
  }
}));
const all = Array.from({ length: 75 }, (_, i) => i + 1);
assert.deepEqual(log.sort((a, b) => a - b), all);
assert.deepEqual(await redis.lrange("tx:log", 0, -1), all.map(String));
assert.equal(await redis.get("tx:counter"), "75");
const other = await connect();
await redis.watch("tx:counter");
await other.set("tx:counter", "0");
await redis.unwatch();
assert.deepEqual(await redis.multi().get("tx:counter").exec(), [[null, "0"]]);

await close();
