// ioredis, everyday things, in RESP3 where the client speaks it.
import Redis from "ioredis";
import { fail, finish, host, port, step } from "./everyday.mjs";

const redis = new Redis({ host, port, protocol: 3, lazyConnect: true, retryStrategy: null });
redis.on("error", fail);
await redis.connect();

await step("ping", () => redis.ping());
await step("protocol", async () => /resp=(\d)/.exec(await redis.client("INFO"))[1]);
await step("set", () => redis.set("k", "value"));
await step("get", () => redis.get("k"));
await step("get again", () => redis.get("k"));
await step("missing", () => redis.get("missing"));
await step("ttl", async () => {
  await redis.set("t", "v", "EX", 100);
  const ttl = await redis.ttl("t");
  return ttl > 97 && ttl <= 100;
});
await step("nx", () => redis.set("k", "other", "NX"));
await step("incr", async () => [await redis.incr("n"), await redis.incrby("n", 5)]);
await step("mset", () => redis.mset({ a: "1", b: "2" }));
await step("mget", () => redis.mget("a", "missing", "b"));
await step("binary", async () => {
  const bytes = Buffer.from([0, 13, 10, 255, 0]);
  await redis.set("bin", bytes);
  return redis.getBuffer("bin");
});
await step("hash", async () => {
  await redis.hset("h", { f: "1", g: "2" });
  return redis.hgetall("h");
});
await step("list", async () => {
  await redis.rpush("l", "a", "b", "c");
  return redis.lrange("l", 0, -1);
});
await step("set type", async () => {
  await redis.sadd("s", "x", "y");
  return (await redis.smembers("s")).sort();
});
await step("zset", async () => {
  await redis.zadd("z", 1, "one", 2.5, "two");
  return (await redis.zrange("z", 0, -1, "WITHSCORES")).flat().map(String);
});
await step("score", async () => Number(await redis.zscore("z", "two")));
await step("wrong type", () => redis.incr("l"));
await step("unknown", () => redis.call("NOSUCH", "a"));
await step("eval", () => redis.eval("return {KEYS[1], ARGV[1]}", 1, "key", "arg"));
await step("script", () => {
  redis.defineCommand("double", { numberOfKeys: 0, lua: "return ARGV[1] * 2" });
  return redis.double(21);
});
await step("pipeline", async () => {
  const pipeline = redis.pipeline();
  for (let i = 0; i < 200; i++) pipeline.set(`p${i}`, `v${i}`).get(`p${i}`);
  const got = await pipeline.exec();
  return got.every(([error, value], i) => !error && value === (i % 2 ? `v${(i - 1) / 2}` : "OK"))
    && got.length;
});
await step("parallel", async () => {
  const got = await Promise.all(Array.from({ length: 300 }, (_, i) => redis.get(`p${i % 200}`)));
  return got.every((value, i) => value === `v${i % 200}`);
});
await step("scan", async () => {
  const keys = [];
  for await (const batch of redis.scanStream({ match: "p*", count: 50 })) keys.push(...batch);
  return new Set(keys).size;
});
await step("select", async () => {
  await redis.select(3);
  const there = await redis.get("k");
  await redis.select(0);
  return [there, await redis.get("k")];
});
await step("del", () => redis.del("k", "a", "missing"));
await step("gone", () => redis.get("k"));
await step("multi", () => redis.multi({ pipeline: false }));
await step("quit", () => redis.quit());
finish();
