// node-redis, everyday things, in RESP3.
import { RESP_TYPES, createClient } from "redis";
import { fail, finish, host, port, step } from "./everyday.mjs";

const client = createClient({ RESP: 3, socket: { host, port, reconnectStrategy: false } });
client.on("error", fail);
await client.connect();

await step("ping", () => client.ping());
await step("protocol", async () => /resp=(\d)/.exec(
  await client.sendCommand(["CLIENT", "INFO"]))[1]);
await step("set", () => client.set("k", "value"));
await step("get", () => client.get("k"));
await step("get again", () => client.get("k"));
await step("missing", () => client.get("missing"));
await step("ttl", async () => {
  await client.set("t", "v", { expiration: { type: "EX", value: 100 } });
  const ttl = await client.ttl("t");
  return ttl > 97 && ttl <= 100;
});
await step("nx", () => client.set("k", "other", { condition: "NX" }));
await step("incr", async () => [await client.incr("n"), await client.incrBy("n", 5)]);
await step("mset", () => client.mSet({ a: "1", b: "2" }));
await step("mget", () => client.mGet(["a", "missing", "b"]));
await step("binary", async () => {
  const bytes = Buffer.from([0, 13, 10, 255, 0]);
  await client.set("bin", bytes);
  return client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer }).get("bin");
});
await step("hash", async () => {
  await client.hSet("h", { f: "1", g: "2" });
  return client.hGetAll("h");
});
await step("list", async () => {
  await client.rPush("l", ["a", "b", "c"]);
  return client.lRange("l", 0, -1);
});
await step("set type", async () => {
  await client.sAdd("s", ["x", "y"]);
  return [...await client.sMembers("s")].sort();
});
await step("zset", async () => {
  await client.zAdd("z", [{ score: 1, value: "one" }, { score: 2.5, value: "two" }]);
  return (await client.zRangeWithScores("z", 0, -1)).flatMap((m) => [m.value, String(m.score)]);
});
await step("score", () => client.zScore("z", "two"));
await step("wrong type", () => client.incr("l"));
await step("unknown", () => client.sendCommand(["NOSUCH", "a"]));
await step("eval", () => client.eval("return {KEYS[1], ARGV[1]}",
  { keys: ["key"], arguments: ["arg"] }));
await step("script", async () => {
  const sha = await client.scriptLoad("return ARGV[1] * 2");
  return client.evalSha(sha, { arguments: ["21"] });
});
await step("pipeline", async () => {
  const got = await Promise.all(Array.from({ length: 400 }, (_, i) => (
    i % 2 ? client.get(`p${(i - 1) / 2}`) : client.set(`p${i / 2}`, `v${i / 2}`))));
  return got.every((value, i) => value === (i % 2 ? `v${(i - 1) / 2}` : "OK")) && got.length;
});
await step("parallel", async () => {
  const got = await Promise.all(Array.from({ length: 300 }, (_, i) => client.get(`p${i % 200}`)));
  return got.every((value, i) => value === `v${i % 200}`);
});
await step("scan", async () => {
  const keys = new Set();
  for await (const batch of client.scanIterator({ MATCH: "p*", COUNT: 50 })) {
    for (const key of [batch].flat()) keys.add(key);
  }
  return keys.size;
});
await step("select", async () => {
  await client.select(3);
  const there = await client.get("k");
  await client.select(0);
  return [there, await client.get("k")];
});
await step("del", () => client.del(["k", "a", "missing"]));
await step("gone", () => client.get("k"));
await step("multi", () => client.sendCommand(["MULTI"]));
await step("quit", async () => (await client.close(), "OK"));
finish();
