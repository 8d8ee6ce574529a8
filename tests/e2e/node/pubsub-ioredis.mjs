// ioredis, pub/sub in RESP2 with its subscriber mode: a subscriber and a publisher.
import Redis from "ioredis";
import { fail, finish, host, port, step } from "./everyday.mjs";

const options = { host, port, protocol: 2, lazyConnect: true, retryStrategy: null };
const sub = new Redis(options);
const pub = new Redis(options);
for (const redis of [sub, pub]) {
  redis.on("error", fail);
  await redis.connect();
}

const received = [];
let wake = () => {};
sub.on("message", (channel, message) => { received.push([channel, message]); wake(); });
const until = async (done) => {
  while (!done()) await new Promise((resolve) => { wake = resolve; });
};

await step("subscribed", async () => [await sub.subscribe("a"), await sub.subscribe("b")]);
await step("publish", async () =>
  [await pub.publish("a", "one"), await pub.publish("b", "two"), await pub.publish("c", "x")]);
await step("received", async () => {
  await until(() => received.length === 2);
  return received.slice();
});
await step("pattern", async () => {
  await sub.psubscribe("p.*");
  const heard = new Promise((resolve) => {
    sub.once("pmessage", (...words) => resolve(words));
  });
  await pub.publish("p.x", "three");
  return heard;
});
await step("numsub", async () => {
  const got = await pub.pubsub("NUMSUB", "a", "c");
  return got[1] === 1 && got[3] === 0;
});
await step("while subscribed", async () => {
  try {
    await sub.get("k");
    return false;
  } catch (error) {
    return /subscriber mode/.test(error.message);
  }
});
await step("many", async () => {
  const before = received.length;
  await Promise.all(Array.from({ length: 200 }, (_, i) => pub.publish("a", String(i))));
  await until(() => received.length === before + 200);
  return received.slice(before).filter(([, text], i) => text === String(i)).length;
});
await step("unsubscribed", async () => {
  await sub.unsubscribe("a", "b");
  return sub.punsubscribe("p.*");
});
// Last: when no shard channel is left, ioredis forgets that it has others.
await step("sharded", async () => {
  const heard = new Promise((resolve) => {
    sub.once("smessage", (...words) => resolve(words));
  });
  const answer = [await sub.ssubscribe("shard"), await pub.publish("shard", "not this"),
    await pub.spublish("shard", "four"), await heard, await sub.sunsubscribe("shard")];
  return [...answer, await pub.spublish("shard", "nobody")];
});
await step("quit", async () => {
  await sub.quit();
  return pub.quit();
});
finish();
