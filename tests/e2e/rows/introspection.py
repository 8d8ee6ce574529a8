"""COMMAND and CONFIG: what clients ask before they work, and the errors of both."""

from support.resp import Map
from support.table import (NIL, OK, By, Step, arity, deviates, err, masked, shape, table, unordered)

row = table("introspection")
UNKNOWN_OPTION = "ERR Unknown option or number of arguments for CONFIG SET - '{}'"
NOT_PARSED = ("ERR CONFIG SET failed (possibly related to argument '{}') - argument couldn't be "
              "parsed into an integer")


def superset(argv):
    """larder may have more (CACHE, UPSTREAM), never less."""
    def check(direct, other):
        missing = set(names(direct)) - set(names(other))
        return f"missing: {sorted(missing)}" if missing else None
    return Step(argv, By(check))


def names(value):
    if isinstance(value, Map):
        return [k for k, _ in value]
    if value and isinstance(value[0], list):
        return [item[0] for item in value]
    return [item for item in value if isinstance(item, bytes)]


def at_least(argv):
    def check(direct, other):
        return None if isinstance(other, int) and other >= direct else f"{other} < {direct}"
    return Step(argv, By(check))


row(at_least("COMMAND COUNT"))
row(superset("COMMAND"))
row(superset("COMMAND INFO"))
row(superset("COMMAND LIST"))
row(superset("COMMAND DOCS"))
for name in ("get", "set", "mget", "hset", "eval", "xadd", "sort", "client", "config", "object",
             "ping", "blpop", "multi"):
    row(unordered(f"COMMAND INFO {name}"))      # subcommands come in a hash table's order
    row(unordered(f"COMMAND DOCS {name}"))
row("COMMAND INFO GET", "COMMAND INFO get nosuch SET")
row("COMMAND INFO nosuch", [NIL])
row("COMMAND INFO client|id", "COMMAND INFO config|get", "COMMAND INFO client|nosuch", [NIL])
row("COMMAND DOCS nosuch")
row("COMMAND DOCS get set nosuch")
row("COMMAND DOCS client|id")
row("COMMAND GETKEYS GET k", [b"k"])
row("COMMAND GETKEYS MSET a 1 b 2", [b"a", b"b"])
row("COMMAND GETKEYS EVAL x 2 a b c", [b"a", b"b"])
row("COMMAND GETKEYS XREAD COUNT 1 STREAMS a b 0 0", [b"a", b"b"])
row("COMMAND GETKEYS SORT l BY w_* STORE d", [b"l", b"d"])
row("COMMAND GETKEYS ZUNIONSTORE d 2 a b", [b"d", b"a", b"b"])
row("COMMAND GETKEYS PING", arity("command|getkeys"))
row("COMMAND GETKEYS PING hello", err("ERR The command has no key arguments"))
row("COMMAND GETKEYS nosuch a", err("ERR Invalid command specified"))
row("COMMAND GETKEYS GET", arity("command|getkeys"))
row("COMMAND GETKEYS GET a b", err("ERR Invalid number of arguments specified for command"))
row("COMMAND GETKEYS", arity("command|getkeys"))
row("COMMAND GETKEYSANDFLAGS SET k v")
row(unordered("COMMAND LIST FILTERBY ACLCAT hyperloglog"))
row(unordered("COMMAND LIST FILTERBY PATTERN hget*"))
row("COMMAND LIST FILTERBY MODULE nosuch", [])
row("COMMAND LIST FILTERBY FOO bar")
row("COMMAND COUNT x", arity("command|count"))
row("COMMAND FOO", err("ERR unknown subcommand 'FOO'. Try COMMAND HELP."))
row("command count x", arity("command|count"))
row(shape("COMMAND HELP"))

# CONFIG
row("CONFIG", arity("config"))
row("CONFIG FOO", err("ERR unknown subcommand 'FOO'. Try CONFIG HELP."))
row("CONFIG GET", arity("config|get"))
row("CONFIG GET nosuchdirective")
row(shape("CONFIG GET maxmemory"))
row(masked("CONFIG GET port", rb"\d+\r\n$"))
row("CONFIG SET", arity("config|set"))
row("CONFIG SET maxmemory", arity("config|set"))
row("CONFIG SET nosuch 1", err(UNKNOWN_OPTION.format("nosuch")))
row("CONFIG SET nosuch 1 maxclients 100", err(UNKNOWN_OPTION.format("nosuch")))
row("CONFIG SET maxclients abc", err(NOT_PARSED.format("maxclients")))
row("CONFIG SET timeout abc", err(NOT_PARSED.format("timeout")))
row("CONFIG SET timeout -1")
row("CONFIG SET maxmemory abc")
row("CONFIG SET maxmemory-policy nosuch")
row(deviates("loglevel-nothing", "CONFIG SET loglevel nosuch"))
row("CONFIG SET timeout 10 timeout 20",
    err("ERR CONFIG SET failed (possibly related to argument 'timeout') - duplicate parameter"))
row("CONFIG SET port 99999")
row(deviates("loglevel-nothing", "CONFIG SET timeout 100 loglevel nosuch"), "CONFIG GET timeout")
row("CONFIG SET timeout 100", OK, "CONFIG GET timeout", "CONFIG SET timeout 0", OK)
row("config set TIMEOUT 100", OK, "config get TIMEOUT", "CONFIG SET timeout 0", OK)
row("CONFIG SET maxmemory 200mb", OK, "CONFIG GET maxmemory", "CONFIG SET maxmemory 100000000", OK)
row("CONFIG SET protected-mode maybe")
row("CONFIG RESETSTAT", OK)
row("CONFIG RESETSTAT x", arity("config|resetstat"))
row("CONFIG REWRITE x", arity("config|rewrite"))
row(shape("CONFIG HELP"))
row("CONFIG REWRITE", err("ERR The server is running without a config file"))

# INFO is compared by its field names in test_info.py
row(shape("INFO"))
row(masked("INFO nosuchsection", rb"^.*$"))
