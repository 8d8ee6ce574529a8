"""Streams that do not block: nested replies, in RESP3 with maps."""

from support.table import (NIL, OK, R23, WRONGTYPE, Map, arity, err, masked, near, shape, table)

row = table("streams")
TWO = ("XADD x 1-1 a 1 b 2", "XADD x 2-1 c 3")

row(*TWO, b"2-1", "XLEN x", 2, "XRANGE x - +",
    [[b"1-1", [b"a", b"1", b"b", b"2"]], [b"2-1", [b"c", b"3"]]])
row(*TWO, "XREVRANGE x + - COUNT 1", [[b"2-1", [b"c", b"3"]]], "XRANGE x (1-1 +",
    "XRANGE x 5 9", [])
row(*TWO, "XREAD COUNT 1 STREAMS x 0",
    R23([[b"x", [[b"1-1", [b"a", b"1", b"b", b"2"]]]]],
        Map([(b"x", [[b"1-1", [b"a", b"1", b"b", b"2"]]])])))
row("XREAD STREAMS x 0", NIL)
row("XREAD STREAMS x y 0", err("ERR Unbalanced XREAD list of streams: for each stream key an ID "
                               "or '$' must be specified."))
row(*TWO, "XADD x 1-1 f v", err("ERR The ID specified in XADD is equal or smaller than the target "
                                "stream top item"))
row("XADD x 0-0 f v", err("ERR The ID specified in XADD must be greater than 0-0"))
row(shape("XADD x * f v"), "XLEN x", 1)
row("XADD x 5-* f v", b"5-0", "XADD x NOMKSTREAM 6-1 f v", b"6-1", "XADD y NOMKSTREAM * f v", NIL)
row("XADD x MAXLEN 1 1-1 f v", "XADD x MAXLEN 1 2-1 f v", "XLEN x", 1)
row(*TWO, "XDEL x 1-1", 1, "XTRIM x MAXLEN 0", 1, "XLEN x", 0, "EXISTS x", 1)
row("XADD x abc f v", err("ERR Invalid stream ID specified as stream command argument"))
row("XADD x 1-1 f", arity("xadd"))
row("SET k v", "XADD k 1-1 f v", WRONGTYPE)
row(*TWO, "XGROUP CREATE x g 0", OK, "XREADGROUP GROUP g c COUNT 1 STREAMS x >", "XPENDING x g",
    "XACK x g 1-1", 1, "XPENDING x g")
row(*TWO, "XGROUP CREATE x g 0", "XGROUP CREATE x g 0",
    err("BUSYGROUP Consumer Group name already exists"))
row("XGROUP CREATE x g 0")
row("XGROUP CREATE x g 0 MKSTREAM", OK, "XGROUP DESTROY x g", 1)
row("XREADGROUP GROUP g c STREAMS x >")
row(*TWO, "XGROUP CREATE x g $", "XINFO STREAM x", "XINFO GROUPS x", "XINFO CONSUMERS x g", [])
row(*TWO, masked("XINFO STREAM x FULL", rb"seen-time\r\n:\d+"))
row("XINFO STREAM x", err("ERR no such key"))
row("XINFO FOO x", err("ERR unknown subcommand 'FOO'. Try XINFO HELP."))
row(*TWO, "XGROUP CREATE x g 0", "XREADGROUP GROUP g c STREAMS x >",
    near("XPENDING x g IDLE 0 - + 10 nobody"), "XCLAIM x g d 0 1-1 JUSTID", [b"1-1"],
    "XAUTOCLAIM x g e 0 0 COUNT 1 JUSTID")
row(*TWO, "XSETID x 9-9", OK, "XADD x 9-* f v", b"9-10")
