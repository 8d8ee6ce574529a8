"""Hashes: they fall through, in RESP2 as arrays and in RESP3 as maps."""

from support.table import (NIL, NOT_FLOAT, NOT_INT, OK, R23, WRONGTYPE, Map, arity, err, near,
                           shape, table, unordered)

row = table("hashes")

row("HSET h a 1 b 2", 2, "HGETALL h", R23([b"a", b"1", b"b", b"2"],
                                          Map([(b"a", b"1"), (b"b", b"2")])))
row("HGETALL h", R23([], Map()))
row("HSET h f v", "HGET h f", b"v", "HGET h g", NIL, "HGET x f", NIL)
row("HSET h f v", "HSET h f w", 0, "HGET h f", b"w")
row("HSET h f v", "HGETALL h", "HSET h f w", "HGETALL h", "HDEL h f", 1, "HGETALL h",
    "EXISTS h", 0)
row("HSET h a 1 b 2", "HMGET h a x b", [b"1", NIL, b"2"])
row("HMSET h a 1 b 2", OK, unordered("HKEYS h"), unordered("HVALS h"), "HLEN h", 2)
row("HSET h a 1", "HEXISTS h a", 1, "HEXISTS h b", 0, "HSTRLEN h a", 1)
row("HSETNX h f v", 1, "HSETNX h f w", 0, "HGET h f", b"v")
row("HINCRBY h f 5", 5, "HINCRBY h f -7", -2, "HGET h f", b"-2")
row("HSET h f abc", "HINCRBY h f 1", err("ERR hash value is not an integer"))
row("HINCRBYFLOAT h f 1.5", b"1.5", "HINCRBYFLOAT h f 1e2", b"101.5")
row("HINCRBYFLOAT h f abc", NOT_FLOAT)
row("HINCRBY h f abc", NOT_INT)
row("HSET h a 1 b 2 c 3", "HDEL h a b x", 2, "HLEN h", 1)
row("HSET h only 1", "HRANDFIELD h", b"only", "HRANDFIELD h 5", [b"only"],
    "HRANDFIELD h 1 WITHVALUES", R23([b"only", b"1"], [[b"only", b"1"]]))
row("HRANDFIELD h", NIL)
row("HSET h a 1 b 2", shape("HRANDFIELD h"))
row("SET k v", "HGET k f", WRONGTYPE)
row("SET k v", "HSET k f v", WRONGTYPE)
row("SET k v", "HGETALL k", WRONGTYPE)
row("HSET h f", arity("hset"))
row("HSET h a 1 b", arity("hset"))
row("HGET h", arity("hget"))
row("HMSET h a", arity("hmset"))
row(("HSET", "h", b"\0\r\n", b"\xff\0"), 1, ("HGET", "h", b"\0\r\n"), b"\xff\0")
row('HSET h "" ""', 1, 'HGET h ""', b"", "HGETALL h")
row("HSET h f v", "EXPIRE h 100", near("TTL h", 5), "HSET h g w", near("PTTL h"))
row("HSET h f v", "RENAME h g", OK, "HGETALL g", "HGETALL h")
row(("HSET", "h", *[f"{x}{i}" for i in range(600) for x in ("f", "v")]), 600,
    unordered("HKEYS h"), "HLEN h", 600)
