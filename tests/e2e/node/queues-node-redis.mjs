// node-redis: blocking queues with several workers; each job is done exactly once.
import assert from "node:assert/strict";
import { createClientPool } from "redis";
import { address, close, connect } from "./connect-node-redis.mjs";

const client = await connect();
const n = 150;
const jobs = Array.from({ length: n }, (_, i) => String(i));
const inOrder = (words) => words.map(Number).sort((a, b) => a - b).map(String);
const pool = await createClientPool(address, { minimum: 1, maximum: 8 }).connect();

// BLPOP: workers wait first; jobs come one by one and in bulk.
const done = [];
const popping = Array.from({ length: 4 }, () => pool.execute(async (mine) => {
  for (;;) {
    const { key, element } = await mine.blPop(["qu:urgent", "qu:jobs"], 30);
    if (element === "stop") return;
    assert.equal(key, Number(element) % 10 ? "qu:jobs" : "qu:urgent");
    done.push(element);
  }
}));
for (const job of jobs.slice(0, 50)) {
  await client.rPush(Number(job) % 10 ? "qu:jobs" : "qu:urgent", job);
}
await client.rPush("qu:jobs", jobs.slice(50).filter((job) => Number(job) % 10));
await client.rPush("qu:urgent", jobs.slice(50).filter((job) => Number(job) % 10 === 0));
for (let i = 0; i < 4; i++) await client.rPush("qu:jobs", "stop");
await Promise.all(popping);
assert.deepEqual(inOrder(done), jobs);

// BLMOVE into a list of the worker's own: what a dead worker had is moved back, and done.
const doomed = await connect();
const taken = doomed.blMove("qu:todo", "qu:doing:doomed", "LEFT", "RIGHT", 30);
await client.rPush("qu:todo", jobs);
assert.equal(await taken, "0");
doomed.destroy();
const moved = [];
const moving = Array.from({ length: 3 }, (_, i) => pool.execute(async (mine) => {
  for (;;) {
    const job = await mine.blMove("qu:todo", `qu:doing:${i}`, "LEFT", "RIGHT", 30);
    if (job === "stop") return mine.lRem(`qu:doing:${i}`, 0, job);
    moved.push(job);
    const [removed] = await mine.multi().lRem(`qu:doing:${i}`, 1, job).incr("qu:done").exec();
    assert.equal(removed, 1);
  }
}));
assert.equal(await client.lMove("qu:doing:doomed", "qu:todo", "LEFT", "LEFT"), "0");
await client.rPush("qu:todo", ["stop", "stop", "stop"]);
assert.deepEqual(await Promise.all(moving), [1, 1, 1]);
assert.deepEqual(inOrder(moved), jobs);
assert.equal(await client.get("qu:done"), String(n));
assert.equal(
  await client.exists(["qu:todo", ...[0, 1, 2, "doomed"].map((w) => `qu:doing:${w}`)]), 0);

// By priority, from either end, several at once, in vain.
await client.zAdd("qu:z", [
  { score: 3, value: "low" }, { score: 1, value: "high" }, { score: 2, value: "middle" }]);
const order = [];
for (let i = 0; i < 3; i++) order.push((await client.bzPopMin(["qu:none", "qu:z"], 30)).value);
assert.deepEqual(order, ["high", "middle", "low"]);
await client.rPush("qu:l", ["a", "b", "c", "d"]);
assert.deepEqual({ ...await client.brPop(["qu:none", "qu:l"], 30) }, { key: "qu:l", element: "d" });
assert.deepEqual(await client.blmPop(30, ["qu:none", "qu:l"], "LEFT", { COUNT: 2 }),
  ["qu:l", ["a", "b"]]);
assert.equal(await client.brPopLPush("qu:l", "qu:m", 30), "c");
assert.equal(await client.blPop("qu:none", 0.01), null);
assert.equal(await client.bzPopMax("qu:none", 0.01), null);
assert.equal(await client.blMove("qu:none", "qu:m", "LEFT", "RIGHT", 0.01), null);
const [now, never] = await client.multi().blPop("qu:m", 0).blPop("qu:none", 0).exec();
assert.deepEqual([{ ...now }, never], [{ key: "qu:m", element: "c" }, null]);

// A list that ordinary commands make behind the waiting client's back.
const waiter = await connect();
const renamed = waiter.blPop("qu:later", 30);
await client.multi().rPush("qu:before", "x").rename("qu:before", "qu:later").exec();
assert.deepEqual({ ...await renamed }, { key: "qu:later", element: "x" });

await pool.close();
await close();
