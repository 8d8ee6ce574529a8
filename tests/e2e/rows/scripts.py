"""EVAL, EVALSHA, SCRIPT, FUNCTION, FCALL: keys written by scripts, and every type of reply."""

from support.table import (NIL, OK, R23, Double, Map, Set, arity, err, near, table,
                           unordered)

row = table("scripts")
SET_SCRIPT = "return redis.call('set', KEYS[1], ARGV[1])"
LIBRARY = ("#!lua name=larderlib\n"
           "redis.register_function('setit', function(k, a) "
           "return redis.call('set', k[1], a[1]) end)\n"
           "redis.register_function{function_name='getit', flags={'no-writes'}, "
           "callback=function(k, a) return redis.call('get', k[1]) end}")
NO_SCRIPT = err("NOSCRIPT No matching script. Please use EVAL.")


def lua(code, *rest):
    return ("EVAL", code, *rest)


row(lua("return 1", 0), 1)
row(lua("return 'text'", 0), b"text")
row(lua("return {1, 'two', {3, 'four'}, false}", 0), [1, b"two", [3, b"four"], NIL])
row(lua("return nil", 0), NIL)
row(lua("return true", 0), 1)
row(lua("return 3.99", 0), 3)
row(lua("return redis.status_reply('FINE')", 0))
row(lua("return redis.error_reply('MY error')", 0), err("MY error"))
row(lua("return {KEYS[1], ARGV[1], #KEYS, #ARGV}", 1, "k", "a"), [b"k", b"a", 1, 1])
row(lua("redis.setresp(3); return {double=3.5}", 0), R23(b"3.5", Double(b"3.5")))
row(lua("redis.setresp(3); return {map={a=1}}", 0), R23([b"a", 1], Map([(b"a", 1)])))
row(lua("redis.setresp(3); return {set={a=true}}", 0), R23([b"a"], Set([b"a"])))
row(lua("redis.setresp(3); return true", 0), R23(1, True))
row(lua("redis.setresp(3); return false", 0), R23(0, False))
row(lua("redis.setresp(3); return {big_number='123456789012345678901234567890'}", 0))
row(lua("redis.setresp(3); return {verbatim_string={format='txt', string='hello'}}", 0))
row(lua("redis.setresp(3); return {{double=1.5}, {map={k={set={m=true}}}}, 'x'}", 0))
row("HSET h f v", lua("redis.setresp(3); return redis.call('hgetall', KEYS[1])", 1, "h"))

# what a script writes is seen
row("SET k old", "GET k", b"old", lua(SET_SCRIPT, 1, "k", "new"), OK, "GET k", b"new")
row("GET k", NIL, lua(SET_SCRIPT, 1, "k", "new"), OK, "GET k", b"new")
row("SET k v", "GET k", lua("return redis.call('del', KEYS[1])", 1, "k"), 1, "GET k", NIL)
row("SET k v", "GET k", lua("return redis.call('expire', KEYS[1], 100)", 1, "k"), 1, near("PTTL k"))
row("SET k old", "GET k", lua("return redis.call('set', 'k', 'undeclared')", 0), OK, "GET k",
    b"undeclared")
row("SET k v", lua("return redis.call('get', KEYS[1])", 1, "k"), b"v")
row("LPUSH k a", lua("return redis.call('get', KEYS[1])", 1, "k"))
row(lua("return redis.pcall('get')", 0))
row(lua("this is no lua", 0))
row(lua("return redis.call('nosuch')", 0))
row(lua("return 1", "x"), err("ERR value is not an integer or out of range"))
row(lua("return 1", -1), err("ERR Number of keys can't be negative"))
row(lua("return 1", 2, "k"), err("ERR Number of keys can't be greater than number of args"))
row("EVAL", arity("eval"))
row("SET k v", ("EVAL_RO", "return redis.call('get', KEYS[1])", 1, "k"), b"v",
    ("EVAL_RO", "return redis.call('set', KEYS[1], 1)", 1, "k"))
row("SELECT 2", lua(SET_SCRIPT, 1, "k", "two"), "GET k", b"two", "SELECT 0", "GET k", NIL)
row(lua("redis.call('select', 3); return redis.call('set', 'k', 'v')", 0), "GET k", NIL,
    "SELECT 3", "GET k", b"v")

# EVALSHA, SCRIPT
SHA = "e0e1f9fabfc9d4800c877a703b823ac0578ff8db"          # of "return 1"
row("SCRIPT FLUSH", OK, f"EVALSHA {SHA} 0", NO_SCRIPT)
row("SCRIPT FLUSH", ("SCRIPT", "LOAD", "return 1"), SHA.encode(), f"EVALSHA {SHA} 0", 1,
    f"SCRIPT EXISTS {SHA} ffffffffffffffffffffffffffffffffffffffff", [1, 0])
row("EVALSHA short 0", NO_SCRIPT)
row("SCRIPT FLUSH FOO")
row("SCRIPT FLUSH ASYNC", OK, "SCRIPT FLUSH SYNC", OK)
row("SCRIPT KILL", err("NOTBUSY No scripts in execution right now."))
row("SCRIPT FOO", err("ERR unknown subcommand 'FOO'. Try SCRIPT HELP."))
row(("SCRIPT", "LOAD", "no lua here ("))

# FUNCTION, FCALL
row("FUNCTION FLUSH", OK, ("FUNCTION", "LOAD", LIBRARY), b"larderlib", "SET k old", "GET k",
    "FCALL setit 1 k new", OK, "GET k", b"new", "FCALL_RO getit 1 k", b"new",
    "FCALL_RO setit 1 k x", unordered("FUNCTION LIST"), "FUNCTION STATS",
    "FUNCTION DELETE larderlib", OK)
row("FUNCTION FLUSH", "FCALL nosuch 0", err("ERR Function not found"))
row("FUNCTION FLUSH", ("FUNCTION", "LOAD", LIBRARY), ("FUNCTION", "LOAD", LIBRARY),
    err("ERR Library 'larderlib' already exists"), ("FUNCTION", "LOAD", "REPLACE", LIBRARY),
    "FUNCTION FLUSH", OK)
row(("FUNCTION", "LOAD", "no header"), err("ERR Missing library metadata"))
row("FUNCTION FLUSH", "FUNCTION LIST", [])
row("FUNCTION FOO", err("ERR unknown subcommand 'FOO'. Try FUNCTION HELP."))
row("FUNCTION KILL", err("NOTBUSY No scripts in execution right now."))

