// node-redis, pub/sub in RESP3: a subscriber that goes on with ordinary commands, and a publisher.
import { createClient } from "redis";
import { fail, finish, host, port, step } from "./everyday.mjs";

const options = { RESP: 3, socket: { host, port, reconnectStrategy: false } };
const sub = createClient(options);
const pub = createClient(options);
for (const redis of [sub, pub]) {
  redis.on("error", fail);
  await redis.connect();
}

const received = [];
let wake = () => {};
const listener = (message, channel) => { received.push([channel, message]); wake(); };
const until = async (done) => {
  while (!done()) await new Promise((resolve) => { wake = resolve; });
};

await step("subscribed", async () => {
  await sub.subscribe("a", listener);
  await sub.subscribe("b", listener);
  return [1, 2];
});
await step("publish", async () =>
  [await pub.publish("a", "one"), await pub.publish("b", "two"), await pub.publish("c", "x")]);
await step("received", async () => {
  await until(() => received.length === 2);
  return received.slice();
});
await step("pattern", async () => {
  let resolve;
  const heard = new Promise((done) => { resolve = done; });
  await sub.pSubscribe("p.*", (message, channel) => resolve(["p.*", channel, message]));
  await pub.publish("p.x", "three");
  return heard;
});
await step("numsub", async () => {
  const got = await pub.pubSubNumSub(["a", "c"]);
  return Number(got.a) === 1 && Number(got.c) === 0;
});
await step("while subscribed", async () => {
  await sub.set("k", "v");
  return (await sub.get("k")) === "v";
});
await step("many", async () => {
  const before = received.length;
  await Promise.all(Array.from({ length: 200 }, (_, i) => pub.publish("a", String(i))));
  await until(() => received.length === before + 200);
  return received.slice(before).filter(([, text], i) => text === String(i)).length;
});
await step("unsubscribed", async () => {
  await sub.unsubscribe();
  await sub.pUnsubscribe();
  const got = await pub.pubSubNumSub(["a", "b"]);
  return Number(got.a) + Number(got.b);
});
await step("sharded", async () => {
  let resolve;
  const heard = new Promise((done) => { resolve = done; });
  await sub.sSubscribe("shard", (message, channel) => resolve([channel, message]));
  const answer = [1, await pub.publish("shard", "not this"), await pub.sPublish("shard", "four"),
    await heard];
  await sub.sUnsubscribe("shard");
  return [...answer, 0, await pub.sPublish("shard", "nobody")];
});
await step("quit", async () => {
  await sub.close();
  await pub.close();
  return "OK";
});
finish();
