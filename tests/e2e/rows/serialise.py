"""DUMP and RESTORE."""

from support.table import (NIL, OK, NOT_INT, SYNTAX, Simple, arity, err, near, table)

row = table("serialise")
# DUMP of "v" by Redis 7.0 (RDB version 10)
STRING = b"\x00\x01v\n\x00\x91\x08\xce\xb2\x198\x8a\xce"
BAD = err("ERR DUMP payload version or checksum are wrong")

row("DUMP k", NIL)
row("SET k v", "DUMP k")
row("SET k v EX 100", "DUMP k")
row("LPUSH k a b", "DUMP k")
row("HSET k f v", "DUMP k")
row("DUMP", arity("dump"))
row("DUMP a b", arity("dump"))
row("RESTORE k 0 garbage", BAD)
row('RESTORE k 0 ""', BAD)
row("RESTORE k -1 garbage", err("ERR Invalid TTL value, must be >= 0"))
row("RESTORE k abc garbage", NOT_INT)
row("SET k v", "RESTORE k 0 garbage", err("BUSYKEY Target key name already exists."))
row("RESTORE k 0 garbage FOO", SYNTAX)
row("RESTORE k 0 garbage IDLETIME -1", err("ERR Invalid IDLETIME value, must be >= 0"))
row("RESTORE k 0", arity("restore"))


def restored(tail, *checks):
    """A row that restores a value dumped by the same Redis version."""
    row(("RESTORE", "k", *tail.split()[:1], STRING, *tail.split()[1:]), *checks)


restored("0", OK, "GET k", b"v", "TTL k", -1)
restored("100000", OK, "GET k", b"v", near("PTTL k"))
restored("9999999999123 ABSTTL", OK, "PEXPIRETIME k", 9999999999123)
restored("1 ABSTTL", OK, "EXISTS k", 0)
row("SET k old", "GET k", ("RESTORE", "k", 0, STRING, "REPLACE"), OK, "GET k", b"v")
row("GET k", NIL, ("RESTORE", "k", 0, STRING), OK, "GET k", b"v", "TYPE k", Simple(b"string"))
row(("RESTORE", "k", 0, STRING[:-1] + b"x"), BAD)
