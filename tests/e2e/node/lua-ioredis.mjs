// ioredis: commands of one's own in Lua, by EVALSHA, and by EVAL where the server forgot them.
import assert from "node:assert/strict";
import { close, connect } from "./connect-ioredis.mjs";

const redis = await connect();
redis.defineCommand("addTo", {
  numberOfKeys: 1,
  lua: "return redis.call('INCRBY', KEYS[1], ARGV[1])",
});
redis.defineCommand("removeIf", {
  numberOfKeys: 1,
  lua: `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
        return 0`,
});
redis.defineCommand("total", {
  lua: `local sum = 0
        for _, key in ipairs(KEYS) do sum = sum + (redis.call('GET', key) or 0) end
        return sum`,
  readOnly: true,
});

// EVAL at first, EVALSHA then; each change is seen by the next read.
for (let i = 1; i <= 5; i++) {
  assert.equal(await redis.addTo("lua:n", 10), 10 * i);
  assert.equal(await redis.get("lua:n"), String(10 * i));
}
assert.equal(await redis.removeIf("lua:n", "1"), 0);
assert.equal(await redis.get("lua:n"), "50");
assert.equal(await redis.removeIf("lua:n", "50"), 1);
assert.equal(await redis.get("lua:n"), null);
await redis.mset({ "lua:a": 1, "lua:b": 2 });
assert.equal(await redis.total(3, "lua:a", "lua:b", "lua:missing"), 3);

// Forgotten: NOSCRIPT, and EVAL again; alone, in a pipeline, and by several at once.
assert.equal(await redis.script("FLUSH"), "OK");
assert.equal(await redis.addTo("lua:n", 1), 1);
await redis.script("FLUSH");
assert.deepEqual(
  await redis.pipeline().addTo("lua:p", 1).set("lua:q", "v").addTo("lua:p", 2).get("lua:q").exec()
    .then((replies) => [replies[1], replies[3], replies.every(([error]) => error === null)]),
  [[null, "OK"], [null, "v"], true]);
assert.equal(await redis.get("lua:p"), "3");
await redis.script("FLUSH");
await Promise.all(Array.from({ length: 50 }, () => redis.addTo("lua:many", 2)));
assert.equal(await redis.get("lua:many"), "100");

// By hand
const sha = await redis.script("LOAD", "return {KEYS[1], ARGV[1], 3, false, {ok = 'fine'}}");
assert.deepEqual(await redis.evalsha(sha, 1, "k", "v"), ["k", "v", 3, null, "fine"]);
assert.deepEqual(await redis.script("EXISTS", sha, "0".repeat(40)), [1, 0]);
await assert.rejects(redis.evalsha("0".repeat(40), 0), /NOSCRIPT/);
await assert.rejects(redis.eval("return redis.call('NOSUCH')", 0), /Unknown Redis command/);
await assert.rejects(redis.eval("return redis.error_reply('MINE is an error')", 0), /MINE is an/);
await assert.rejects(redis.eval_ro("return redis.call('SET', KEYS[1], 'x')", 1, "lua:n"),
  /Write commands are not allowed/);
assert.equal(await redis.eval_ro("return redis.call('GET', KEYS[1])", 1, "lua:n"), "1");
assert.deepEqual(
  await redis.multi().addTo("lua:n", 5).get("lua:n").eval("return ARGV[1] * 2", 0, 21).exec(),
  [[null, 6], [null, "6"], [null, 42]]);

// Functions
assert.equal(await redis.function("LOAD", "REPLACE", `#!lua name=counters
  redis.register_function('raise', function(keys, args)
    return redis.call('INCRBY', keys[1], args[1])
  end)
  redis.register_function{function_name='peek', flags={'no-writes'}, callback=function(keys)
    return redis.call('GET', keys[1])
  end}`), "counters");
assert.equal(await redis.fcall("raise", 1, "lua:f", 7), 7);
assert.equal(await redis.get("lua:f"), "7");
assert.equal(await redis.fcall_ro("peek", 1, "lua:f"), "7");
assert.equal(await redis.fcall("raise", 1, "lua:f", 7), 14);
assert.equal(await redis.get("lua:f"), "14");
await assert.rejects(redis.fcall_ro("raise", 1, "lua:f", 7), /Can not execute a script with write/);
assert.equal(await redis.function("DELETE", "counters"), "OK");

await close();
