"""PING, ECHO, HELLO, AUTH, QUIT, RESET and CLIENT: what is answered without L2."""

from support.resp import Simple
from support.table import (NIL, OK, R23, SYNTAX, By, Step, Verbatim, arity, closes, deviates, err,
                           masked, quiet, shape, table)

row = table("connection")
PONG = Simple(b"PONG")
NO_PASSWORD = err("ERR AUTH <password> called without any password configured for the default "
                  "user. Are you sure your configuration is correct?")
WRONGPASS = err("WRONGPASS invalid username-password pair or user is disabled.")
BAD_NAME = err("ERR Client names cannot contain spaces, newlines or special characters.")
BAD_SUB = "ERR unknown subcommand '{}'. Try CLIENT HELP."


def hello(argv):
    """HELLO's map: all fields equal but the connection's id."""
    def same(direct, other):
        a, b = pairs(direct), pairs(other)
        a.pop(b"id", None)
        b.pop(b"id", None)
        return None if a == b else f"direct {a}, larder {b}"
    return Step(argv, By(same))


def pairs(value):
    if isinstance(value, list) and value and isinstance(value[0], tuple):
        return dict(value)
    return dict(zip(value[::2], value[1::2])) if isinstance(value, list) else {b"": value}


row("PING", PONG)
row("ping", PONG)
row("PiNg hello", b"hello")
row('PING ""', b"")
row("PING a b", arity("ping"))
row("ECHO hello", b"hello")
row('ECHO ""', b"")
row("ECHO", arity("echo"))
row("ECHO a b", arity("echo"))
row("SET k v", closes("QUIT"))
row(closes("quit"))
row(closes("QUIT now"))
row("RESET", Simple(b"RESET"))
row("SELECT 3", "SET k three", "RESET", Simple(b"RESET"), "GET k", NIL, "CLIENT GETNAME", NIL)
row("CLIENT SETNAME me", "RESET", "CLIENT GETNAME", NIL, "HGETALL h", [])
row("RESET now", arity("reset"))

# HELLO
row(hello("HELLO"))
row(hello("HELLO 2"), "HGETALL h", [])
row(hello("HELLO 3"), "HGETALL h")
row(hello("HELLO 3"), "GET k", NIL, hello("HELLO 2"), "GET k", NIL)
row(hello("HELLO 3 SETNAME me"), "CLIENT GETNAME", b"me")
row(hello("hello 3 setname me"))
row("HELLO 1", err("NOPROTO unsupported protocol version"))
row("HELLO 4", err("NOPROTO unsupported protocol version"))
row("HELLO abc", err("ERR Protocol version is not an integer or out of range"))
row("HELLO 3 FOO", err("ERR Syntax error in HELLO option 'FOO'"))
row("HELLO 3 AUTH", err("ERR Syntax error in HELLO option 'AUTH'"))
row("HELLO 3 AUTH default", err("ERR Syntax error in HELLO option 'AUTH'"))
row("HELLO 3 SETNAME", err("ERR Syntax error in HELLO option 'SETNAME'"))
row(("HELLO", "3", "SETNAME", "bad name"), BAD_NAME, "CLIENT GETNAME", NIL)
row("HELLO 3 AUTH nobody secret", WRONGPASS)
row(hello("HELLO 3 AUTH default secret"))
row(hello("HELLO 2 AUTH default x SETNAME me"), "CLIENT GETNAME", b"me")
row(hello("HELLO 3"), "HELLO 9", "HGETALL h")

# AUTH without a password set
row("AUTH secret", NO_PASSWORD)
row("AUTH default secret", OK)
row("AUTH nobody secret", WRONGPASS)
row("AUTH a b c", SYNTAX)
row("AUTH", arity("auth"))

# CLIENT: names
row("CLIENT GETNAME", NIL)
row("CLIENT SETNAME me", OK, "CLIENT GETNAME", b"me")
row("CLIENT SETNAME me", 'CLIENT SETNAME ""', OK, "CLIENT GETNAME", NIL)
row(("CLIENT", "SETNAME", "a b"), BAD_NAME)
row(("CLIENT", "SETNAME", "a\nb"), BAD_NAME)
row(("CLIENT", "SETNAME", b"a\0b"), BAD_NAME)
row(("CLIENT", "SETNAME", b"\xff"), BAD_NAME)
row("CLIENT SETNAME me", ("CLIENT", "SETNAME", "a b"), "CLIENT GETNAME", b"me")
row("client setname ME", OK, "client getname", b"ME")
row("CLIENT SETNAME", arity("client|setname"))
row("CLIENT SETNAME a b", arity("client|setname"))
row("CLIENT GETNAME x", arity("client|getname"))
row(deviates("client-setinfo", "CLIENT SETINFO lib-name larder-test"))
row(deviates("client-setinfo", "CLIENT SETINFO LIB-VER 1.0"))

# CLIENT: the rest
row(shape("CLIENT ID"))
row("CLIENT ID x", arity("client|id"))
row(shape("CLIENT INFO"))
row(shape("CLIENT LIST"))
row(shape("CLIENT LIST TYPE normal"))
row(masked("CLIENT LIST TYPE pubsub", rb"id=[^\r]*"))
row("CLIENT LIST TYPE foo", err("ERR Unknown client type 'foo'"))
row("CLIENT LIST ID abc", err("ERR Invalid client ID"))
row("CLIENT LIST FOO", SYNTAX)
row("CLIENT LIST ID 999999999", R23(b"", Verbatim(b"")))
row("CLIENT NO-EVICT ON", OK, "CLIENT NO-EVICT OFF", OK, "CLIENT NO-EVICT maybe", SYNTAX)
row("CLIENT NO-EVICT", arity("client|no-evict"))
row(deviates("client-no-touch", "CLIENT NO-TOUCH ON"))
row("CLIENT KILL nosuch:1", err("ERR No such client"))
row("CLIENT KILL ID 999999999", 0)
row("CLIENT KILL ID abc", err("ERR client-id should be greater than 0"))
row("CLIENT KILL TYPE foo", err("ERR Unknown client type 'foo'"))
row("CLIENT KILL ADDR 127.0.0.1:1", 0)
row("CLIENT KILL LADDR 127.0.0.1:1", 0)
row("CLIENT KILL USER nobody", err("ERR No such user 'nobody'"))
row("CLIENT KILL SKIPME maybe", SYNTAX)
row("CLIENT KILL ID", err("ERR No such client"))
row("CLIENT KILL FOO bar", SYNTAX)
row("CLIENT KILL", arity("client|kill"))
row("CLIENT PAUSE 0", OK, "CLIENT UNPAUSE", OK)
row("CLIENT PAUSE 1 WRITE", OK, "CLIENT UNPAUSE", OK)
row("CLIENT PAUSE 1 FOO", err("ERR CLIENT PAUSE mode must be WRITE or ALL"))
row("CLIENT PAUSE abc", err("ERR timeout is not an integer or out of range"))
row("CLIENT PAUSE -1", err("ERR timeout is negative"))
row("CLIENT PAUSE", arity("client|pause"))
row("CLIENT UNPAUSE x", arity("client|unpause"))
row("CLIENT UNPAUSE", OK)
row("CLIENT", arity("client"))
row("CLIENT FOO", err(BAD_SUB.format("FOO")))
row("CLIENT FOO bar baz", err(BAD_SUB.format("FOO")))
row(("CLIENT", "x" * 200))
row(shape("CLIENT HELP"))

# CLIENT REPLY: nothing may come, and then everything in its order
row("CLIENT REPLY ON", OK)
row("CLIENT REPLY on", OK)
row(quiet("CLIENT REPLY OFF"), quiet("SET k v"), quiet("GET k"), quiet("PING"), quiet("NOSUCH"),
    "CLIENT REPLY ON", OK, "GET k", b"v")
row(quiet("CLIENT REPLY SKIP"), quiet("SET k v"), "GET k", b"v")
row(quiet("CLIENT REPLY SKIP"), quiet("PING"), "PING", PONG)
row(quiet("CLIENT REPLY SKIP"), quiet("CLIENT REPLY SKIP"), quiet("PING"), "PING a", b"a")
row("SET k v", quiet("CLIENT REPLY SKIP"), quiet("GET k"), "GET k", b"v")
row("SET k v", "GET k", quiet("CLIENT REPLY OFF"), quiet("GET k"), quiet("CLIENT REPLY SKIP"),
    quiet("GET k"), "CLIENT REPLY ON", OK, "MGET k", [b"v"])
row("CLIENT REPLY maybe", SYNTAX)
row("CLIENT REPLY", arity("client|reply"))

