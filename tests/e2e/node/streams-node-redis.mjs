// node-redis: a stream with a consumer group; each entry is done exactly once, though a consumer
// dies.
import assert from "node:assert/strict";
import { close, connect } from "./connect-node-redis.mjs";

const client = await connect();
const n = 200;
const entry = (id, message) => ({ id, message });

// Producing, and reading without a group.
for (let i = 0; i < 5; i++) {
  assert.equal(await client.xAdd("st:s", `${i + 1}-0`, { n: String(i) }), `${i + 1}-0`);
}
assert.equal(await client.xLen("st:s"), 5);
const plain = (value) => JSON.parse(JSON.stringify(value));
const range = async (...words) => plain(await client.xRange(...words));
assert.deepEqual(await range("st:s", "2-0", "+", { COUNT: 2 }),
  [entry("2-0", { n: "1" }), entry("3-0", { n: "2" })]);
assert.deepEqual(plain(await client.xRevRange("st:s", "+", "-", { COUNT: 1 })),
  [entry("5-0", { n: "4" })]);
assert.deepEqual(
  plain(await client.xRead([{ key: "st:s", id: "4-0" }, { key: "st:none", id: "0" }])),
  [{ name: "st:s", messages: [entry("5-0", { n: "4" })] }]);
assert.equal(await client.xRead({ key: "st:s", id: "$" }, { BLOCK: 10 }), null);
assert.equal(await client.xDel("st:s", "1-0"), 1);
assert.equal(await client.xTrim("st:s", "MAXLEN", 2), 2);
assert.deepEqual(await range("st:s", "-", "+"),
  [entry("4-0", { n: "3" }), entry("5-0", { n: "4" })]);

// A reader that waits hears of what is added meanwhile, by another client.
const waiter = await connect();
const heard = waiter.xRead({ key: "st:live", id: "0" }, { BLOCK: 30000 });
await client.xAdd("st:live", "7-0", { text: "hello" });
assert.deepEqual(plain(await heard),
  [{ name: "st:live", messages: [entry("7-0", { text: "hello" })] }]);

// A group: consumers wait before there is anything, one dies with an entry in its hands.
assert.equal(await client.xGroupCreate("st:jobs", "g", "$", { MKSTREAM: true }), "OK");
await assert.rejects(client.xGroupCreate("st:jobs", "g", "$"), /BUSYGROUP/);
const take = (consumer, name, ms) => consumer.xReadGroup("g", name, { key: "st:jobs", id: ">" },
  { COUNT: 7, BLOCK: ms });
const doomed = await connect();
const taken = take(doomed, "doomed", 30000);
await client.xAdd("st:jobs", "*", { n: "0" });
assert.equal((await taken)[0].messages[0].message.n, "0");
const done = [];
const consume = async (name) => {
  const mine = await connect();
  while (done.length < n - 1) {
    const got = await take(mine, name, 50);
    for (const { id, message } of got === null ? [] : got[0].messages) {
      done.push(Number(message.n));
      assert.equal(await mine.xAck("st:jobs", "g", id), 1);
    }
  }
};
const consumers = ["a", "b", "c"].map(consume);
await Promise.all(Array.from({ length: n - 1 }, (_, i) => (
  client.xAdd("st:jobs", "*", { n: String(i + 1) }))));
await Promise.all(consumers);
assert.deepEqual(done.sort((a, b) => a - b), Array.from({ length: n - 1 }, (_, i) => i + 1));

// What the dead one had is pending, is claimed, and done.
const pending = await client.xPending("st:jobs", "g");
const first = pending.firstId;
assert.deepEqual(plain(pending), {
  pending: 1, firstId: first, lastId: first, consumers: [{ name: "doomed", deliveriesCounter: 1 }],
});
const [detail] = await client.xPendingRange("st:jobs", "g", "-", "+", 10);
assert.deepEqual([detail.id, detail.consumer, detail.deliveriesCounter], [first, "doomed", 1]);
doomed.destroy();
const claimed = plain(await client.xAutoClaim("st:jobs", "g", "a", 0, "0-0", { COUNT: 10 }));
assert.deepEqual(claimed, {
  nextId: "0-0", messages: [entry(first, { n: "0" })], deletedMessages: [],
});
assert.deepEqual(await client.xClaimJustId("st:jobs", "g", "b", 0, first), [first]);
assert.deepEqual(plain(await client.xReadGroup("g", "b", { key: "st:jobs", id: "0" })),
  [{ name: "st:jobs", messages: [entry(first, { n: "0" })] }]);
assert.equal(await client.xAck("st:jobs", "g", first), 1);
assert.equal((await client.xPending("st:jobs", "g")).pending, 0);
assert.equal(await client.xLen("st:jobs"), n);
const [group] = await client.xInfoGroups("st:jobs");
assert.deepEqual([group.name, group.consumers, group.pending, group.lag], ["g", 4, 0, 0]);
assert.equal(await client.xGroupDestroy("st:jobs", "g"), 1);
await assert.rejects(client.xReadGroup("g", "a", { key: "st:jobs", id: ">" }), /NOGROUP/);

await close();
