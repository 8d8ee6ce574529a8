"""KEYS, SCAN, RANDOMKEY, DBSIZE, FLUSHDB, FLUSHALL, SELECT, MOVE, SWAPDB: databases as such."""

from support.table import (NIL, NOT_INT, OK, SYNTAX, By, Step, arity, err, table, unordered)

row = table("keyspace")
DB_RANGE = err("ERR DB index is out of range")

# KEYS
row("KEYS *", [])
row("MSET one 1 two 2 three 3", unordered("KEYS *"))
row("MSET one 1 two 2 three 3", unordered("KEYS t*"))
row("MSET one 1 two 2 three 3", "KEYS tw?", [b"two"])
row("MSET one 1 two 2 three 3", "KEYS ?ne", [b"one"])
row("MSET one 1 two 2 three 3", "KEYS one", [b"one"])
row("MSET one 1 two 2 three 3", "KEYS [ot]ne", [b"one"])
row("MSET one 1 two 2 three 3", unordered("KEYS [^o]*"))
row("MSET one 1 two 2 three 3", unordered("KEYS [n-p]*"))
row("MSET one 1 two 2 three 3", "KEYS [p-n]*", [b"one"])
row('SET "a*b" 1', "SET axb 2", 'KEYS "a\\\\*b"', [b"a*b"])
row("SET k v", "KEYS nomatch", [])
row("SET k v", 'KEYS ""', [])
row('SET "a\\x00b" 1', 'KEYS "a\\x00*"', [b"a\0b"])
row("SET k v PXAT 1", "KEYS *", [])
row("SET k v", ("KEYS", "*" * 40 + "x"), [])
row("SET aaaaaaaaaaaaaaaaaaaaaaaa v", "KEYS a*a*a*a*a*a*a*b", [])
row("SET k v", "KEYS [", "KEYS [k", "KEYS [k-", "KEYS \\", "KEYS [^")
row("KEYS", arity("keys"))
row("KEYS a b", arity("keys"))


# SCAN of a small database: one round with a large COUNT sees all
def scanned(direct, other):
    """Both cursors end, and both sets of keys are equal."""
    if direct[0] != other[0] or sorted(direct[1]) != sorted(other[1]):
        return f"direct {direct!r}, larder {other!r}"
    return None


def scan(argv):
    return Step(argv, By(scanned))


row("SCAN 0", [b"0", []])
row("MSET one 1 two 2 three 3", scan("SCAN 0"))
row("MSET one 1 two 2 three 3", scan("SCAN 0 COUNT 1000"))
row("MSET one 1 two 2 three 3", scan("SCAN 0 MATCH t* COUNT 1000"))
row("SET s v", "LPUSH l a", scan("SCAN 0 TYPE string"), scan("SCAN 0 TYPE list"),
    scan("SCAN 0 TYPE hash"), scan("SCAN 0 TYPE nonsense"))
row("SET k v", "SCAN 0 COUNT 0", SYNTAX)
row("SET k v", "SCAN 0 COUNT abc", NOT_INT)
row("SET k v", "SCAN 0 COUNT", SYNTAX)
row("SET k v", "SCAN 0 FOO 1", SYNTAX)
row("SCAN abc", err("ERR invalid cursor"))
row("SCAN -1")
row("SCAN 18446744073709551616", err("ERR invalid cursor"))
row("SCAN", arity("scan"))
row("HSET h a 1 b 2", scan("HSCAN h 0"), scan("HSCAN h 0 MATCH a"), "HSCAN missing 0", [b"0", []])
row("SADD s a b", scan("SSCAN s 0"), "SET k v", "SSCAN k 0")
row("ZADD z 1 a 2 b", scan("ZSCAN z 0"), "ZSCAN z abc", err("ERR invalid cursor"))

# RANDOMKEY, DBSIZE
row("RANDOMKEY", NIL)
row("SET only v", "RANDOMKEY", b"only")
row("RANDOMKEY a", arity("randomkey"))
row("DBSIZE", 0)
row("MSET a 1 b 2", "LPUSH l x", "DBSIZE", 3, "DEL a", "DBSIZE", 2)
row("SET a 1", "GET a", "GET b", "DBSIZE", 1)
row("DBSIZE a", arity("dbsize"))

# FLUSHDB, FLUSHALL
for name in ("FLUSHDB", "FLUSHALL"):
    for option in ("", " ASYNC", " SYNC", " async"):
        row("MSET a 1 b 2", "MGET a b c", name + option, OK, "MGET a b c", [NIL, NIL, NIL],
            "DBSIZE", 0)
    row(f"{name} FOO", SYNTAX)
    row(f"{name} ASYNC SYNC", SYNTAX)
    row("SET a 1", f"{name} FOO", "GET a", b"1")
row("SET a 0", "SELECT 1", "SET a 1", "GET a", "FLUSHDB", OK, "GET a", NIL, "SELECT 0",
    "GET a", b"0")
row("SET a 0", "SELECT 1", "SET a 1", "GET a", "FLUSHALL", OK, "GET a", NIL, "SELECT 0",
    "GET a", NIL)

# SELECT: the same name in several databases
row("SELECT 0", OK)
row("SELECT 15", OK, "SET k v", "GET k", b"v", "DBSIZE", 1)
row("SELECT 16", DB_RANGE)
row("SELECT -1", DB_RANGE)
row("SELECT abc", NOT_INT)
row("SELECT 1.5", NOT_INT)
row('SELECT ""', NOT_INT)
row("SELECT 99999999999",
    err("ERR value is out of range, value must between -2147483648 and 2147483647"))
row("SELECT 99999999999999999999", NOT_INT)
row("SELECT", arity("select"))
row("SELECT 0 1", arity("select"))
row("SET k zero", "SELECT 1", "GET k", NIL, "SET k one", "GET k", b"one", "SELECT 0", "GET k",
    b"zero", "SELECT 1", "GET k", b"one")
row("SELECT 1", "SELECT 99", DB_RANGE, "SET k one", "GET k", b"one", "SELECT 0", "EXISTS k", 0)
row("SET k 1", "SELECT 2", "INCR k", 1, "SELECT 0", "INCR k", 2, "SELECT 2", "GET k", b"1")
row("SET k a EX 100", "SELECT 1", "SET k b", "TTL k", -1, "DEL k", 1, "SELECT 0", "GET k", b"a")
row("SELECT 3", "LPUSH k a", "SELECT 0", "LPUSH k b", "LRANGE k 0 -1", [b"b"], "SELECT 3",
    "LRANGE k 0 -1", [b"a"])

# MOVE
row("SET k v", "GET k", "MOVE k 1", 1, "GET k", NIL, "SELECT 1", "GET k", b"v")
row("SELECT 1", "GET k", NIL, "SELECT 0", "SET k v", "MOVE k 1", 1, "SELECT 1", "GET k", b"v")
row("MOVE k 1", 0)
row("SET k a", "SELECT 1", "SET k b", "SELECT 0", "MOVE k 1", 0, "GET k", b"a")
row("SET k v", "MOVE k 0", err("ERR source and destination objects are the same"))
row("SET k v", "MOVE k 99", DB_RANGE)
row("SET k v", "MOVE k abc", NOT_INT)
row("MOVE k", arity("move"))

# SWAPDB
row("SET k zero", "SELECT 1", "SET k one", "GET k", "SELECT 0", "GET k", "SWAPDB 0 1", OK,
    "GET k", b"one", "SELECT 1", "GET k", b"zero")
row("GET k", NIL, "SELECT 1", "SET k one", "SELECT 0", "SWAPDB 1 0", OK, "GET k", b"one")
row("SET k v", "SWAPDB 0 0", OK, "GET k", b"v")
row("SWAPDB 0 99", DB_RANGE)
row("SWAPDB a 1", err("ERR invalid first DB index"))
row("SWAPDB 1 a", err("ERR invalid second DB index"))
row("SWAPDB 0", arity("swapdb"))
