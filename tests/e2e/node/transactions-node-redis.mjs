// node-redis: pipelines, MULTI, and WATCH with several clients that contend for a key.
import assert from "node:assert/strict";
import { createClientPool, MultiErrorReply, WatchError } from "redis";
import { address, close, connect } from "./connect-node-redis.mjs";

const client = await connect();

// Replies of every kind, an error among them.
assert.deepEqual(
  await client.multi().set("tx:k", "1").incr("tx:k").get("tx:k").get("tx:missing")
    .hSet("tx:h", { f: "v" }).hGetAll("tx:h").rPush("tx:l", ["a", "b"]).lRange("tx:l", 0, -1)
    .zAdd("tx:z", { score: 1.5, value: "m" }).zScore("tx:z", "m").execAsPipeline(),
  ["OK", 2, "2", null, 1, { f: "v" }, 2, ["a", "b"], 1, 1.5]);
await assert.rejects(
  client.multi().set("tx:k", "word").incr("tx:k").set("tx:j", "done").execAsPipeline(),
  /^Error: ERR value is not an integer/);
assert.deepEqual(await client.mGet(["tx:k", "tx:j"]), ["word", "done"]);

// What is asked for in one turn goes out in one packet.
const values = Array.from({ length: 1000 }, (_, i) => `v${i}`);
const got = await Promise.all(values.flatMap((value) => [
  client.set("tx:i", value), client.get("tx:i")]));
assert.deepEqual(got, values.flatMap((value) => ["OK", value]));

// MULTI
assert.deepEqual(
  await client.multi().set("tx:k", "1").incrBy("tx:k", 4).get("tx:k").hGetAll("tx:h").exec(),
  ["OK", 5, "5", { f: "v" }]);
const partly = await client.multi().set("tx:k", "word").incr("tx:k").get("tx:k").exec()
  .catch((error) => error);
assert.ok(partly instanceof MultiErrorReply);
assert.deepEqual(partly.errorIndexes, [1]);
assert.match(partly.replies[1].message, /^ERR value is not an integer/);
assert.equal(partly.replies[2], "word");
await assert.rejects(client.multi().set("tx:k", "2").addCommand(["NOSUCH"]).exec(),
  /unknown command 'NOSUCH'/);
assert.equal(await client.get("tx:k"), "word");
const long = client.multi();
for (let i = 0; i < 1000; i++) long.set("tx:k", String(i)).get("tx:k");
assert.ok((await long.exec()).every((value, i) => (
  value === (i % 2 ? String((i - 1) / 2) : "OK"))));

// WATCH: a pool's clients, each increment exactly once.
const pool = await createClientPool(address, { minimum: 1, maximum: 5 }).connect();
const increment = () => pool.execute(async (mine) => {
  for (;;) {
    await mine.watch(["tx:counter", "tx:other"]);
    const next = Number(await mine.get("tx:counter")) + 1;
    try {
      await mine.multi().set("tx:counter", String(next)).rPush("tx:log", String(next)).exec();
      return next;
    } catch (error) {
      if (!(error instanceof WatchError)) throw error;
    }
  }
});
const log = await Promise.all(Array.from({ length: 75 }, increment));
const all = Array.from({ length: 75 }, (_, i) => i + 1);
assert.deepEqual(log.sort((a, b) => a - b), all);
assert.deepEqual(await client.lRange("tx:log", 0, -1), all.map(String));
assert.equal(await client.get("tx:counter"), "75");
const other = await connect();
await client.watch("tx:counter");
await other.set("tx:counter", "0");
await client.unwatch();
assert.deepEqual(await client.multi().get("tx:counter").exec(), ["0"]);

await pool.close();
await close();
