// ioredis: its streams over SCAN, HSCAN, SSCAN and ZSCAN, also while keys come and go.
import assert from "node:assert/strict";
import { close, connect } from "./connect-ioredis.mjs";

const redis = await connect();
const n = 700;
const names = Array.from({ length: n }, (_, i) => `m${i}`);
const sorted = (words) => [...new Set(words)].sort();
const all = async (stream) => {
  const found = [];
  for await (const batch of stream) found.push(...batch);
  return found;
};
const pairs = (flat) => Object.fromEntries(flat.flatMap((word, i) => (
  i % 2 ? [] : [[word, flat[i + 1]]])));

await redis.mset(Object.fromEntries(names.map((name) => [`sc:k:${name}`, name])));
for (let i = 0; i < 20; i++) await redis.rpush(`sc:l:${i}`, "x");
const keys = names.map((name) => `sc:k:${name}`).sort();
assert.deepEqual(sorted(await all(redis.scanStream({ match: "sc:k:*", count: 100 }))), keys);
assert.deepEqual(sorted(await all(redis.scanStream({ match: "sc:*", type: "list" }))),
  Array.from({ length: 20 }, (_, i) => `sc:l:${i}`).sort());
assert.deepEqual(await all(redis.scanStream({ match: "sc:none*", count: 500 })), []);

await redis.hset("sc:h", Object.fromEntries(names.map((name) => [name, `v${name}`])));
await redis.sadd("sc:s", names);
await redis.zadd("sc:z", ...names.flatMap((name, i) => [i + 0.5, name]));
assert.deepEqual(pairs(await all(redis.hscanStream("sc:h", { count: 50 }))),
  Object.fromEntries(names.map((name) => [name, `v${name}`])));
assert.deepEqual(sorted(await all(redis.sscanStream("sc:s", { match: "m1*", count: 50 }))),
  names.filter((name) => name.startsWith("m1")).sort());
assert.deepEqual(pairs(await all(redis.zscanStream("sc:z", { count: 50 }))),
  Object.fromEntries(names.map((name, i) => [name, String(i + 0.5)])));
assert.deepEqual(pairs(await all(redis.hscanStream("sc:none"))), {});

// Deleting what was found, while another client adds; what is there all the time is found.
const other = await connect();
const stream = redis.scanStream({ match: "sc:*", count: 30 });
const found = new Set();
for await (const batch of stream) {
  stream.pause();
  const gone = batch.filter((key) => key.startsWith("sc:k:") && key.endsWith("7"));
  await other.pipeline().unlink("sc:x", ...gone).set(`sc:new:${found.size}`, "v").exec();
  for (const key of batch) found.add(key);
  stream.resume();
}
assert.ok(keys.every((key) => found.has(key)));
assert.deepEqual(sorted(await all(redis.scanStream({ match: "sc:k:*" }))),
  keys.filter((key) => !key.endsWith("7")));
assert.deepEqual(sorted(await redis.keys("sc:k:m11*")),
  keys.filter((key) => key.startsWith("sc:k:m11") && !key.endsWith("7")));

await close();
