"""SORT and SORT_RO: sorting, patterns, STORE."""

from support.table import NIL, OK, SYNTAX, WRONGTYPE, arity, err, table

row = table("sort")
NUMBERS = "RPUSH l 3 1 2 10"

row(NUMBERS, "SORT l", [b"1", b"2", b"3", b"10"])
row(NUMBERS, "SORT l DESC", [b"10", b"3", b"2", b"1"])
row(NUMBERS, "SORT l ALPHA", [b"1", b"10", b"2", b"3"])
row(NUMBERS, "SORT l LIMIT 1 2", [b"2", b"3"])
row(NUMBERS, "SORT l limit 0 0 desc", [])
row(NUMBERS, "SORT l BY nosort", [b"3", b"1", b"2", b"10"])
row(NUMBERS, "MSET w_3 1 w_1 2 w_2 3 w_10 4", "SORT l BY w_*", [b"3", b"1", b"2", b"10"])
row(NUMBERS, "MSET v_1 one v_2 two v_3 three", "SORT l GET v_* GET #",
    [b"one", b"1", b"two", b"2", b"three", b"3", NIL, b"10"])
row(NUMBERS, "HSET h_1 f x", "SORT l GET h_*->f LIMIT 0 2", [b"x", NIL])
row(NUMBERS, "GET d", NIL, "SORT l STORE d", 4, "LRANGE d 0 -1", "GET d", WRONGTYPE)
row(NUMBERS, "SET d v", "GET d", b"v", "SORT l STORE d", 4, "TYPE d")
row("SET d v", "GET d", b"v", "SORT missing STORE d", 0, "GET d", NIL)
row("RPUSH l a b", "SORT l", err("ERR One or more scores can't be converted into double"))
row("RPUSH l b a", "SORT l ALPHA", [b"a", b"b"])
row("SORT missing", [])
row("SET k v", "SORT k", WRONGTYPE)
row(NUMBERS, "SORT l FOO", SYNTAX)
row(NUMBERS, "SORT l LIMIT 1", SYNTAX)
row("SORT", arity("sort"))
row("SADD s 3 1 2", "SORT s", [b"1", b"2", b"3"], "ZADD z 1 5 2 4", "SORT z", [b"4", b"5"])
row(NUMBERS, "SORT_RO l DESC LIMIT 0 1", [b"10"], "SORT_RO l STORE d", SYNTAX)
row("SET k v", OK, "SORT_RO k", WRONGTYPE)
