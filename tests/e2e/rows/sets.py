"""Sets: arrays in RESP2, sets in RESP3."""

from support.table import (NIL, R23, SYNTAX, WRONGTYPE, Set, arity, err, table, unordered)

row = table("sets")

row("SADD s a", 1, "SMEMBERS s", R23([b"a"], Set([b"a"])))
row("SMEMBERS s", R23([], Set()))
row("SADD s a b c a", 3, unordered("SMEMBERS s"), "SCARD s", 3)
row("SADD s 1 2 3", "SMEMBERS s", R23([b"1", b"2", b"3"], Set([b"1", b"2", b"3"])))
row("SADD s a", "SISMEMBER s a", 1, "SISMEMBER s b", 0, "SMISMEMBER s a b", [1, 0])
row("SADD s a b", "SREM s a x", 1, "SMEMBERS s", R23([b"b"], Set([b"b"])))
row("SADD s a", "SMEMBERS s", "SADD s b", unordered("SMEMBERS s"), "SREM s a b", 2, "SMEMBERS s",
    "EXISTS s", 0)
row("SADD s only", "SPOP s", b"only", "SPOP s", NIL)
row("SADD s only", "SPOP s 3", R23([b"only"], Set([b"only"])))
row("SADD s only", "SRANDMEMBER s", b"only", "SRANDMEMBER s 3", [b"only"],
    "SRANDMEMBER s -3", [b"only"] * 3)
row("SPOP s -1", err("ERR value is out of range, must be positive"))
row("SADD a x y", "SADD b y z", "SINTER a b", R23([b"y"], Set([b"y"])), unordered("SUNION a b"),
    "SDIFF a b", R23([b"x"], Set([b"x"])))
row("SADD a x y", "SADD b y z", "SINTERCARD 2 a b", 1, "SINTERCARD 2 a b LIMIT 1", 1,
    "SINTERCARD 0 a", err("ERR numkeys should be greater than 0"))
row("SADD a x y", "SADD b y z", "SUNIONSTORE c a b", 3, unordered("SMEMBERS c"),
    "SDIFFSTORE c a b", 1, "SMEMBERS c", "SINTERSTORE c a x", 0, "EXISTS c", 0)
row("SADD a x", "SMOVE a b x", 1, "SMOVE a b x", 0, "SMEMBERS b")
row("SET k v", "SADD k a", WRONGTYPE)
row("SET k v", "SMEMBERS k", WRONGTYPE)
row("SADD s", arity("sadd"))
row("SMEMBERS s x", arity("smembers"))
row("SINTERCARD 2 a b FOO", SYNTAX)
row(("SADD", "s", *range(700)), 700, unordered("SMEMBERS s"))
