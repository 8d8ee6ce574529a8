"""Sorted sets: scores are bulk strings in RESP2 and doubles in RESP3; and what is built on them."""

from support.table import (NIL, NOT_FLOAT, NOT_INT, OK, R23, SYNTAX, WRONGTYPE, Double, arity, err,
                           shape, table)

row = table("zsets")
THREE = "ZADD z 1 a 2.5 b 3 c"

row(THREE, 3, "ZRANGE z 0 -1", [b"a", b"b", b"c"])
row(THREE, "ZRANGE z 0 -1 WITHSCORES",
    R23([b"a", b"1", b"b", b"2.5", b"c", b"3"],
        [[b"a", Double(b"1")], [b"b", Double(b"2.5")], [b"c", Double(b"3")]]))
row("ZRANGE z 0 -1", [], "ZRANGE z 0 -1 WITHSCORES", [])
row(THREE, "ZSCORE z b", R23(b"2.5", Double(b"2.5")), "ZSCORE z x", NIL)
row(THREE, "ZMSCORE z a x c", R23([b"1", NIL, b"3"], [Double(b"1"), NIL, Double(b"3")]))
row("ZADD z inf a -inf b 0 c 1e300 d 0.1 e 1e-7 f 17179869184 g", "ZRANGE z 0 -1 WITHSCORES")
row("ZADD z 3.0000000000000004 a -0 b 1e17 c 1e16 d 12345678901234567890 e",
    "ZRANGE z 0 -1 WITHSCORES")
row("ZADD z nan a", NOT_FLOAT)
row("ZADD z abc a", NOT_FLOAT)
row(THREE, "ZADD z NX 9 a", 0, "ZADD z XX CH 9 a", 1, "ZADD z GT 1 a", 0, "ZADD z INCR 1 a",
    R23(b"10", Double(b"10")))
row("ZADD z NX INCR 1 a", R23(b"1", Double(b"1")), "ZADD z NX INCR 1 a", NIL)
row("ZADD z NX XX 1 a", err("ERR XX and NX options at the same time are not compatible"))
row("ZADD z NX GT 1 a")
row("ZADD z 1 a 2", SYNTAX)
row(THREE, "ZINCRBY z 1.5 a", R23(b"2.5", Double(b"2.5")))
row(THREE, "ZCARD z", 3, "ZCOUNT z 1 2.5", 2, "ZCOUNT z (1 +inf", 2, "ZRANK z b", 1,
    "ZREVRANK z b", 1, "ZRANK z x", NIL)
row(THREE, "ZREVRANGE z 0 0 WITHSCORES", "ZRANGEBYSCORE z -inf 2.5 WITHSCORES LIMIT 0 1",
    "ZREVRANGEBYSCORE z +inf -inf", "ZRANGE z 1 3 BYSCORE REV")
row(THREE, "ZRANGE z (1 3 BYSCORE LIMIT 0 1", [b"b"], "ZRANGE z [a [b BYLEX", "ZRANGEBYLEX z - +",
    "ZLEXCOUNT z - +")
row(THREE, "ZRANGEBYSCORE z x y", err("ERR min or max is not a float"))
row(THREE, "ZRANGE z 0 -1 FOO", SYNTAX)
row(THREE, "ZRANGE z a b", NOT_INT)
row(THREE, "ZREM z a x", 1, "ZRANGE z 0 -1", [b"b", b"c"])
row(THREE, "ZPOPMIN z", R23([b"a", b"1"], [b"a", Double(b"1")]), "ZPOPMAX z 2", "ZPOPMIN z", [])
row(THREE, "ZMPOP 1 z MIN", R23([b"z", [[b"a", b"1"]]], [b"z", [[b"a", Double(b"1")]]]))
row("ZMPOP 1 z MIN")
row("ZADD z 1 only", "ZRANDMEMBER z", b"only", "ZRANDMEMBER z 2 WITHSCORES",
    R23([b"only", b"1"], [[b"only", Double(b"1")]]))
row(THREE, shape("ZRANDMEMBER z"))
row(THREE, "ZREMRANGEBYRANK z 0 0", 1, "ZREMRANGEBYSCORE z 2 3", 2, "EXISTS z", 0)
row("ZADD a 1 x 2 y", "ZADD b 10 y 20 z", "ZUNION 2 a b WITHSCORES", "ZINTER 2 a b WITHSCORES",
    "ZDIFF 2 a b WITHSCORES", "ZUNIONSTORE c 2 a b WEIGHTS 2 3 AGGREGATE MAX", 3,
    "ZRANGE c 0 -1 WITHSCORES", "ZINTERSTORE c 2 a b", 1, "ZINTERCARD 2 a b", 1,
    "ZDIFFSTORE c 2 a b", 1)
row(THREE, "ZRANGESTORE d z 0 1", 2, "ZRANGE d 0 -1", [b"a", b"b"])
row("SET k v", "ZADD k 1 a", WRONGTYPE)
row("SET k v", "ZRANGE k 0 -1", WRONGTYPE)
row("ZADD z 1", arity("zadd"))
row(THREE, "ZRANGE z 0 -1 WITHSCORES", "ZADD z 9 a", "ZRANGE z 0 -1 WITHSCORES")

# geo, on sorted sets
ROME = "GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania"
row(ROME, 2, "GEODIST g Palermo Catania", b"166274.1516", "GEODIST g Palermo Catania km",
    "GEODIST g Palermo x", NIL)
row(ROME, "GEOPOS g Palermo x", "GEOHASH g Palermo Catania x")
row(ROME, "GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 200 km ASC WITHCOORD WITHDIST WITHHASH COUNT 2")
row(ROME, "GEORADIUS g 15 37 200 km WITHDIST ASC", "GEORADIUSBYMEMBER g Palermo 200 km ASC",
    "GEOSEARCHSTORE h g FROMMEMBER Palermo BYBOX 400 400 km", 2, "ZRANGE h 0 -1")
row("GEOADD g 200 100 x")
row("GEOPOS g x", [NIL])
row("GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 1 furlong")

# HyperLogLog
row("PFADD p a b c", 1, "PFADD p a", 0, "PFCOUNT p", 3, "PFADD q c d", "PFCOUNT p q", 4,
    "PFMERGE r p q", OK, "PFCOUNT r", 4, "TYPE p")
row("SET k v", "PFADD k a")
row("LPUSH k v", "PFCOUNT k", WRONGTYPE)
row("PFADD p a", "GETRANGE p 0 3", b"HYLL", "GET p")
