"""Bit operations, on the same strings that L1 holds."""

from support.table import NIL, NOT_INT, SYNTAX, WRONGTYPE, arity, err, near, table

row = table("bits")
OFFSET = err("ERR bit offset is not an integer or out of range")

row("SETBIT k 7 1", 0, "GET k", b"\x01", "GETBIT k 7", 1, "GETBIT k 6", 0, "GETBIT k 100", 0)
row("SET k a", "GET k", b"a", "SETBIT k 6 1", 0, "GET k", b"c")
row("SET k a EX 100", "GET k", "SETBIT k 6 1", near("PTTL k"))
row("SETBIT k -1 1", OFFSET)
row("SETBIT k 4294967296 1", OFFSET)
row("SETBIT k abc 1", OFFSET)
row("SETBIT k 0 2", err("ERR bit is not an integer or out of range"))
row("LPUSH k a", "SETBIT k 0 1", WRONGTYPE)
row("LPUSH k a", "GETBIT k 0", WRONGTYPE)
row("GETBIT k 0", 0)
row("SET k foobar", "BITCOUNT k", 26, "BITCOUNT k 0 0", 4, "BITCOUNT k 1 1", 6,
    "BITCOUNT k 5 30 BIT", 17, "BITCOUNT k 0 -1 BYTE", 26)
row("BITCOUNT k", 0, "BITCOUNT k 0", 0, "BITCOUNT k a b")
row("SET k foobar", "BITCOUNT k a 1", NOT_INT, "BITCOUNT k 0", SYNTAX)
row(("SET", "k", b"\xff\xf0\x00"), "BITPOS k 0", 12, "BITPOS k 1 2", -1, "BITPOS k 0 0 -1 BIT", 12)
row("BITPOS k 1", -1, "BITPOS k 0", 0, "BITPOS k 2")
row("MSET a foobar b abcdef", "BITOP AND c a b", 6, "GET c", b"`bc`ab", "BITOP NOT d a", 6,
    "GET d", "BITOP XOR e a missing", 6, "GET e", b"foobar")
row("GET c", NIL, "MSET a x b y", "BITOP OR c a b", 1, "GET c", b"y")
row("SET c v", "GET c", "BITOP AND c x y", 0, "GET c", NIL)
row("BITOP NOT d a b", err("ERR BITOP NOT must be called with a single source key."))
row("BITOP FOO d a", SYNTAX)
row("BITFIELD k SET u8 0 255 GET u4 0 INCRBY u8 0 10", [0, 15, 9], "GET k", b"\x09")
row("BITFIELD k OVERFLOW FAIL INCRBY u2 0 5", [NIL])
row("BITFIELD k OVERFLOW SAT INCRBY u2 0 5", [3], "BITFIELD_RO k GET u2 0", [3])
row("BITFIELD k GET u64 0", err("ERR Invalid bitfield type. Use something like i16 u8. Note that "
                                "u64 is not supported but i64 is."))
row("BITFIELD_RO k SET u8 0 1", err("ERR BITFIELD_RO only supports the GET subcommand"))
row("SETBIT k 0", arity("setbit"))
