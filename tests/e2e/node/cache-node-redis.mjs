// node-redis: its client-side cache, which lives by the invalidations that CLIENT TRACKING brings.
import assert from "node:assert/strict";
import { BasicClientSideCache, createClientPool } from "redis";
import { address, close, connect } from "./connect-node-redis.mjs";

const cache = new BasicClientSideCache({ ttl: 0, maxEntries: 1000, evictPolicy: "LRU" });
const client = await connect({ clientSideCache: cache });
const writer = await connect();
const expected = { hits: 0, misses: 0 };

// One read, which must be a hit of the client's own cache, or must not.
const read = async (hit, name, ...words) => {
  expected[hit ? "hits" : "misses"]++;
  const got = await client[name](...words);
  assert.deepEqual([cache.stats().hitCount, cache.stats().missCount],
    [expected.hits, expected.misses], `${name} ${words}`);
  return got;
};
const until = async (done, complaint) => {
  for (const deadline = Date.now() + 20000; !await done();) {
    assert.ok(Date.now() < deadline, complaint);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
};
// Somebody changes a key that is cached; when the invalidation is here, the next read asks.
const changed = async (action) => {
  const before = cache.size();
  await action();
  await until(() => cache.size() < before, "no invalidation");
};

await writer.set("cc:k", "one");
assert.equal(await read(false, "get", "cc:k"), "one");
for (let i = 0; i < 5; i++) assert.equal(await read(true, "get", "cc:k"), "one");
await changed(() => writer.set("cc:k", "two"));
assert.equal(await read(false, "get", "cc:k"), "two");
assert.equal(await read(true, "get", "cc:k"), "two");

// What isn't there; other types; several replies of one key.
assert.equal(await read(false, "get", "cc:n"), null);
assert.equal(await read(true, "get", "cc:n"), null);
await changed(() => writer.incr("cc:n"));
assert.equal(await read(false, "get", "cc:n"), "1");
await writer.hSet("cc:h", { f: "1", g: "2" });
assert.deepEqual({ ...await read(false, "hGetAll", "cc:h") }, { f: "1", g: "2" });
assert.equal(await read(false, "hGet", "cc:h", "f"), "1");
assert.deepEqual({ ...await read(true, "hGetAll", "cc:h") }, { f: "1", g: "2" });
assert.equal(await read(true, "hGet", "cc:h", "f"), "1");
await changed(() => writer.hIncrBy("cc:h", "f", 1));
assert.equal(await read(false, "hGet", "cc:h", "f"), "2");
assert.deepEqual({ ...await read(false, "hGetAll", "cc:h") }, { f: "2", g: "2" });
await writer.zAdd("cc:z", { score: 1.5, value: "m" });
for (const hit of [false, true]) {
  assert.deepEqual(await read(hit, "zRangeWithScores", "cc:z", 0, -1),
    [{ value: "m", score: 1.5 }]);
}
await writer.mSet({ "cc:a": "1", "cc:b": "2" });
assert.deepEqual(await read(false, "mGet", ["cc:a", "cc:b"]), ["1", "2"]);
assert.deepEqual(await read(true, "mGet", ["cc:a", "cc:b"]), ["1", "2"]);
await changed(() => writer.set("cc:b", "3"));
assert.deepEqual(await read(false, "mGet", ["cc:a", "cc:b"]), ["1", "3"]);

// Its own writes, transactions and scripts of others, everything at once, and deadlines.
await changed(() => client.set("cc:k", "mine"));
assert.equal(await read(false, "get", "cc:k"), "mine");
await changed(() => writer.multi().set("cc:x", "1").append("cc:k", "!").exec());
assert.equal(await read(false, "get", "cc:k"), "mine!");
await changed(() => writer.eval("return redis.call('SET', KEYS[1], ARGV[1])",
  { keys: ["cc:k"], arguments: ["script"] }));
assert.equal(await read(false, "get", "cc:k"), "script");
await changed(() => writer.flushAll());
assert.equal(cache.size(), 0);
assert.equal(await read(false, "get", "cc:k"), null);
await changed(() => writer.set("cc:k", "short", { expiration: { type: "PX", value: 30 } }));
await until(async () => await client.get("cc:k") === null, "a value outlived its time");

// A pool whose clients share one cache.
const pool = await createClientPool(address, {
  minimum: 1, maximum: 4, clientSideCache: { ttl: 0, maxEntries: 100, evictPolicy: "LRU" },
}).connect();
await writer.set("cc:p", "one");
for (let i = 0; i < 10; i++) assert.equal(await pool.get("cc:p"), "one");
assert.ok(pool.clientSideCache.stats().hitCount >= 8);
await writer.set("cc:p", "two");
await until(async () => await pool.get("cc:p") === "two", "the pool's cache is stale");

await pool.close();
await close();
