"""Blocking commands where they don't have to wait, or time out at once."""

from support.table import NIL, table

row = table("blocking")

row("RPUSH q a b c", "BLPOP q 0", [b"q", b"a"], "BRPOP q 0", [b"q", b"c"], "LLEN q", 1)
row("RPUSH q2 x", "BLPOP q1 q2 q3 0", [b"q2", b"x"])
row("BLPOP q 0.01", "GET after", NIL)
row("BRPOP q 0.01", "BLMOVE q r LEFT RIGHT 0.01", "BRPOPLPUSH q r 1", "BLMPOP 0.01 1 q LEFT", "BZPOPMIN z 0.01",
    "BZPOPMAX z 0.01", "BZMPOP 0.01 1 z MIN")
row("RPUSH q a b", "BLMOVE q r LEFT RIGHT 0", b"a", "BRPOPLPUSH q r 0", b"b", "LRANGE r 0 -1")
row("RPUSH q a b c", "BLMPOP 0 2 nothing q LEFT COUNT 2", "LRANGE q 0 -1")
row("ZADD z 1 a 2 b 3 c", "BZPOPMIN z 0", "BZPOPMAX z 0", "BZMPOP 0 1 z MIN COUNT 5", "EXISTS z", 0)
row("SET k v", "BLPOP k 0", "BLPOP q", "BLPOP q nonumber", "BLPOP q -1", "BLMPOP 0 nonumber q LEFT", "BLMPOP 0 1 q NOWHERE")
row("XADD s 1-1 f v", "XREAD BLOCK 0 STREAMS s 0", "XREAD COUNT 1 BLOCK 10 STREAMS s $", "XREAD BLOCK -1 STREAMS s 0")
row("XGROUP CREATE s g $ MKSTREAM", "XREADGROUP GROUP g c BLOCK 10 STREAMS s >", "XADD s 1-1 f v",
    "XREADGROUP GROUP g c BLOCK 0 STREAMS s >", "XPENDING s g")
row("WAIT 0 0", 0, "WAIT 1 10", 0, "WAIT x 0", "WAIT 0 -1")
row("SELECT 5", "RPUSH q v", "BLPOP q 0", "EXISTS q", 0, "SELECT 0")
row("RPUSH q a", "GET q", "BLPOP q 0", "GET q", NIL, "SET q string", "GET q", b"string")
