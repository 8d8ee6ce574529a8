// ioredis: blocking queues with several workers; each job is done exactly once.
import assert from "node:assert/strict";
import { close, connect } from "./connect-ioredis.mjs";

const redis = await connect();
const n = 150;
const jobs = Array.from({ length: n }, (_, i) => String(i));
const inOrder = (words) => words.map(Number).sort((a, b) => a - b).map(String);

// BLPOP: workers wait first; jobs come one by one and in bulk.
const done = [];
const popping = Array.from({ length: 4 }, async () => {
  const mine = await connect();
  for (;;) {
    const [list, job] = await mine.blpop("qu:urgent", "qu:jobs", 30);
    if (job === "stop") return;
    assert.equal(list, Number(job) % 10 ? "qu:jobs" : "qu:urgent");
    done.push(job);
  }
});
for (const job of jobs.slice(0, 50)) {
  await redis.rpush(Number(job) % 10 ? "qu:jobs" : "qu:urgent", job);
}
await redis.rpush("qu:jobs", ...jobs.slice(50).filter((job) => Number(job) % 10));
await redis.rpush("qu:urgent", ...jobs.slice(50).filter((job) => Number(job) % 10 === 0));
for (let i = 0; i < 4; i++) await redis.rpush("qu:jobs", "stop");
await Promise.all(popping);
assert.deepEqual(inOrder(done), jobs);

// BLMOVE into a list of the worker's own: what a dead worker had is moved back, and done.
const doomed = await connect();
const taken = doomed.blmove("qu:todo", "qu:doing:doomed", "LEFT", "RIGHT", 30);
await redis.rpush("qu:todo", ...jobs);
assert.equal(await taken, "0");
doomed.disconnect();
const moved = [];
const moving = Array.from({ length: 3 }, async (_, i) => {
  const mine = await connect();
  for (;;) {
    const job = await mine.blmove("qu:todo", `qu:doing:${i}`, "LEFT", "RIGHT", 30);
    if (job === "stop") return mine.lrem(`qu:doing:${i}`, 0, job);
    moved.push(job);
    assert.deepEqual(
      await mine.multi().lrem(`qu:doing:${i}`, 1, job).incr("qu:done").exec().then((r) => r[0]),
      [null, 1]);
  }
});
assert.equal(await redis.lmove("qu:doing:doomed", "qu:todo", "LEFT", "LEFT"), "0");
await redis.rpush("qu:todo", "stop", "stop", "stop");
assert.deepEqual(await Promise.all(moving), [1, 1, 1]);
assert.deepEqual(inOrder(moved), jobs);
assert.equal(await redis.get("qu:done"), String(n));
assert.equal(await redis.exists("qu:todo", ...[0, 1, 2, "doomed"].map((w) => `qu:doing:${w}`)), 0);

// By priority, from either end, several at once, in vain.
await redis.zadd("qu:z", 3, "low", 1, "high", 2, "middle");
const order = [];
for (let i = 0; i < 3; i++) order.push((await redis.bzpopmin("qu:none", "qu:z", 30))[1]);
assert.deepEqual(order, ["high", "middle", "low"]);
await redis.rpush("qu:l", "a", "b", "c", "d");
assert.deepEqual(await redis.brpop("qu:none", "qu:l", 30), ["qu:l", "d"]);
assert.deepEqual(await redis.blmpop(30, 2, "qu:none", "qu:l", "LEFT", "COUNT", 2),
  ["qu:l", ["a", "b"]]);
assert.equal(await redis.brpoplpush("qu:l", "qu:m", 30), "c");
assert.equal(await redis.blpop("qu:none", 0.01), null);
assert.equal(await redis.bzpopmax("qu:none", 0.01), null);
assert.equal(await redis.blmove("qu:none", "qu:m", "LEFT", "RIGHT", 0.01), null);
assert.deepEqual(await redis.multi().blpop("qu:m", 0).blpop("qu:none", 0).exec(),
  [[null, ["qu:m", "c"]], [null, null]]);

// A list that ordinary commands make behind the waiting client's back.
const waiter = await connect();
const renamed = waiter.blpop("qu:later", 30);
await redis.multi().rpush("qu:before", "x").rename("qu:before", "qu:later").exec();
assert.deepEqual(await renamed, ["qu:later", "x"]);

await close();
