"""Unknown commands, subcommands, cases of names, and errors that quote what the client sent."""

from support.table import OK, arity, err, table

row = table("errors")


def unknown(name, *args):
    shown = "".join(f"'{a}' " for a in args)
    return err(f"ERR unknown command '{name}', with args beginning with: {shown}")


row("NOSUCH", unknown("NOSUCH"))
row("nosuch a b c", unknown("nosuch", "a", "b", "c"))
row('NOSUCH ""', unknown("NOSUCH", ""))
row(("x" * 128, "a"), unknown("x" * 128, "a"))
row(("x" * 200,), unknown("x" * 128))
row(("x" * 200, "y" * 200), )
row(("NOSUCH", *["arg%02d" % i for i in range(40)]))
row(("NOSUCH", "y" * 200, "z"))
row(("NOSUCH", "y" * 127, "z"))
row(("",), unknown(""))
row(("", "a"), unknown("", "a"))
row((b"fo\r\n+OK",), unknown("fo  +OK"))
row((b"NOSUCH", b"a\r\nb", b"c\nd"))
row((b"a\0b", b"c\0d"))
row((b"\xff\xfe",))
row(("GET ",), unknown("GET "))
row((" GET", "k"), unknown(" GET", "k"))
row(("GETT", "k"), unknown("GETT", "k"))
row(("NOSUCH", b"\x80" * 200, "b"))
row("get|foo", unknown("get|foo"))
row("client|id", unknown("client|id"))

# cases of names
row("set k v", OK, "GeT k", b"v", "mGeT k x", "sTrLeN k", 1, "eXiStS k", 1, "dEl k", 1)
row("SeT k v eX 100 nX", OK, "tTl nosuch", -2, "tYpE k", "gEtRaNgE k 0 0", b"v")
row("hset h f v", 1, "HgEt h f", b"v", "lpush l a", 1, "incr n", 1)

# wrong arity of whatever falls through: Redis's own words
for name in ("HDEL", "LPOP", "ZADD", "XADD", "EVALSHA", "SINTER", "PFADD", "GEOADD", "BITOP",
             "SETBIT", "PUBLISH", "SORT", "OBJECT", "XGROUP", "FUNCTION", "LCS", "ZUNIONSTORE",
             "SCRIPT", "HSETNX", "LMOVE", "EXPIRE", "DUMP", "RESTORE", "SINTERCARD", "FCALL",
             "MEMORY", "ACL", "PUBSUB", "SMISMEMBER", "ZMPOP", "XINFO", "XRANGE"):
    row(name, arity(name.lower()))
    row(name.lower(), arity(name.lower()))

for name in ("OBJECT", "XGROUP", "XINFO", "SCRIPT", "FUNCTION", "PUBSUB", "MEMORY", "ACL"):
    row(f"{name} NOSUCH", err(f"ERR unknown subcommand 'NOSUCH'. Try {name} HELP."))
row("PUBSUB NUMPAT x", arity("pubsub|numpat"))
row("XGROUP CREATE x", arity("xgroup|create"))
row("SCRIPT EXISTS", arity("script|exists"))

# errors in the middle of a pipeline leave the rest alone
row("SET k v", OK, "NOSUCH", "GET k", b"v", "GET", arity("get"), "INCR k", "GET k", b"v", "SET k",
    arity("set"), "GET k", b"v")
row("SET k 1", "INCR k extra", arity("incr"), "INCR k", 2, "LPUSH k x", "INCR k", 3)
