// node-redis: scripts by EVALSHA, by EVAL where the server has forgotten them, and functions.
import assert from "node:assert/strict";
import { defineScript } from "redis";
import { close, connect } from "./connect-node-redis.mjs";

const script = (numberOfKeys, lua) => defineScript({
  SCRIPT: lua,
  NUMBER_OF_KEYS: numberOfKeys,
  parseCommand(parser, keys, ...words) {
    for (const key of [keys].flat()) parser.pushKey(key);
    parser.push(...words.map(String));
  },
  transformReply: (reply) => reply,
});
const command = (write) => ({
  NUMBER_OF_KEYS: 1,
  IS_READ_ONLY: !write,
  parseCommand(parser, key, ...words) {
    parser.pushKey(key);
    parser.push(...words.map(String));
  },
  transformReply: (reply) => reply,
});
const client = await connect({
  scripts: {
    addTo: script(1, "return redis.call('INCRBY', KEYS[1], ARGV[1])"),
    both: script(2, "return {redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2])}"),
  },
  functions: { counters: { raise: command(true), peek: command(false) } },
});

// EVALSHA of what the server has never seen, and again; each change is seen by the next read.
for (let i = 1; i <= 5; i++) {
  assert.equal(await client.addTo("lua:n", 10), 10 * i);
  assert.equal(await client.get("lua:n"), String(10 * i));
}
await client.set("lua:m", "v");
assert.deepEqual(await client.both(["lua:n", "lua:m"]), ["50", "v"]);

// Forgotten
assert.equal(await client.scriptFlush(), "OK");
assert.equal(await client.addTo("lua:n", 1), 51);
assert.deepEqual(await client.both(["lua:n", "lua:missing"]), ["51", null]);
await client.scriptFlush();
await Promise.all(Array.from({ length: 50 }, () => client.addTo("lua:many", 2)));
assert.equal(await client.get("lua:many"), "100");

// By hand
const sha = await client.scriptLoad("return {KEYS[1], ARGV[1], 3, false}");
assert.deepEqual(await client.evalSha(sha, { keys: ["k"], arguments: ["v"] }), ["k", "v", 3, null]);
assert.deepEqual(await client.scriptExists([sha, "0".repeat(40)]), [1, 0]);
await assert.rejects(client.evalSha("0".repeat(40)), /NOSCRIPT/);
await assert.rejects(client.eval("return redis.error_reply('MINE is an error')"), /MINE is an/);
await assert.rejects(
  client.evalRo("return redis.call('SET', KEYS[1], 'x')", { keys: ["lua:n"] }),
  /Write commands are not allowed/);
assert.deepEqual(await client.multi().addTo("lua:n", 5).get("lua:n").exec(), [56, "56"]);

// RESP3 from a script
assert.deepEqual(
  { ...await client.eval("redis.setresp(3); return redis.call('HGETALL', KEYS[1])",
    { keys: ["lua:h"] }) }, {});
await client.hSet("lua:h", "f", "v");
const map = await client.eval("redis.setresp(3); return redis.call('HGETALL', KEYS[1])",
  { keys: ["lua:h"] });
assert.equal(map.f, "v");
assert.equal(await client.eval("redis.setresp(3); return {double = 1.5}"), 1.5);

// Functions
assert.equal(await client.functionLoad(`#!lua name=counters
  redis.register_function('raise', function(keys, args)
    return redis.call('INCRBY', keys[1], args[1])
  end)
  redis.register_function{function_name='peek', flags={'no-writes'}, callback=function(keys)
    return redis.call('GET', keys[1])
  end}`, { REPLACE: true }), "counters");
assert.equal(await client.counters.raise("lua:f", 7), 7);
assert.equal(await client.get("lua:f"), "7");
assert.equal(await client.counters.peek("lua:f"), "7");
assert.equal(await client.counters.raise("lua:f", 7), 14);
assert.equal(await client.get("lua:f"), "14");
assert.equal(await client.functionDelete("counters"), "OK");

await close();
