// node-redis: its iterators over SCAN, HSCAN, SSCAN and ZSCAN, also while keys come and go.
import assert from "node:assert/strict";
import { close, connect } from "./connect-node-redis.mjs";

const client = await connect();
const n = 700;
const names = Array.from({ length: n }, (_, i) => `m${i}`);
const sorted = (words) => [...new Set(words)].sort();
const all = async (iterator) => {
  const found = [];
  for await (const batch of iterator) found.push(...batch);
  return found;
};

await client.mSet(names.map((name) => [`sc:k:${name}`, name]));
for (let i = 0; i < 20; i++) await client.rPush(`sc:l:${i}`, "x");
const keys = names.map((name) => `sc:k:${name}`).sort();
assert.deepEqual(sorted(await all(client.scanIterator({ MATCH: "sc:k:*", COUNT: 100 }))), keys);
assert.deepEqual(sorted(await all(client.scanIterator({ MATCH: "sc:*", TYPE: "list" }))),
  Array.from({ length: 20 }, (_, i) => `sc:l:${i}`).sort());
assert.deepEqual(await all(client.scanIterator({ MATCH: "sc:none*", COUNT: 500 })), []);

await client.hSet("sc:h", Object.fromEntries(names.map((name) => [name, `v${name}`])));
await client.sAdd("sc:s", names);
await client.zAdd("sc:z", names.map((value, i) => ({ value, score: i + 0.5 })));
const hash = await all(client.hScanIterator("sc:h", { COUNT: 50 }));
assert.deepEqual(Object.fromEntries(hash.map(({ field, value }) => [field, value])),
  Object.fromEntries(names.map((name) => [name, `v${name}`])));
assert.deepEqual(sorted(await all(client.sScanIterator("sc:s", { MATCH: "m1*", COUNT: 50 }))),
  names.filter((name) => name.startsWith("m1")).sort());
const scores = await all(client.zScanIterator("sc:z", { COUNT: 50 }));
assert.deepEqual(Object.fromEntries(scores.map(({ value, score }) => [value, score])),
  Object.fromEntries(names.map((name, i) => [name, i + 0.5])));
assert.deepEqual(await all(client.hScanIterator("sc:none")), []);

// Deleting what was found, while another client adds; what is there all the time is found.
const other = await connect();
const found = new Set();
for await (const batch of client.scanIterator({ MATCH: "sc:*", COUNT: 30 })) {
  const gone = batch.filter((key) => key.startsWith("sc:k:") && key.endsWith("7"));
  await other.multi().unlink(["sc:x", ...gone]).set(`sc:new:${found.size}`, "v").exec();
  for (const key of batch) found.add(key);
}
assert.ok(keys.every((key) => found.has(key)));
assert.deepEqual(sorted(await all(client.scanIterator({ MATCH: "sc:k:*" }))),
  keys.filter((key) => !key.endsWith("7")));
assert.deepEqual(sorted(await client.keys("sc:k:m11*")),
  keys.filter((key) => key.startsWith("sc:k:m11") && !key.endsWith("7")));

await close();
