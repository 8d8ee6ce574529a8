"""Commands that act on L2 as a process: a clear -ERR, at once.

A closed list: what is on it is refused now, and only what is on it.
"""

import pytest

from deviations import DEVIATIONS
from support.resp import Error

ADMIN = [("SHUTDOWN", "NOSAVE"), ("REPLICAOF", "127.0.0.1", 1), ("SLAVEOF", "127.0.0.1", 1),
         ("FAILOVER",), ("DEBUG", "SLEEP", 0), ("DEBUG", "SEGFAULT"), ("DEBUG", "OBJECT", "k"),
         ("SAVE",), ("BGSAVE",), ("BGREWRITEAOF",), ("ACL", "SETUSER", "x"), ("ACL", "LIST"),
         ("MODULE", "LOAD", "/x.so"), ("CLUSTER", "FAILOVER")]


def name_of(argv):
    return " ".join(map(str, argv))


def refused(argv, pair, proto, listed):
    with pair.larder.conn(proto) as conn:
        got = conn(*argv)
        assert isinstance(got, Error), got
        assert DEVIATIONS[listed].accepts(got), got
        assert len(got) > 15, f"not a clear error: {got!r}"
        assert conn("SET", "k", "v") == b"OK"
        assert conn("GET", "k") == b"v"
    assert pair.l2.once("PING") == b"PONG"


@pytest.mark.parametrize("proto", (2, 3))
@pytest.mark.parametrize("argv", ADMIN, ids=name_of)
def test_administrative(argv, proto, pair):
    refused(argv, pair, proto, "admin")
    assert pair.l2.once("ROLE")[0] == b"master"


@pytest.mark.parametrize("argv", (("SAVE",), ("SHUTDOWN", "NOSAVE"), ("SYNC",), ("PSYNC", "?", -1)),
                         ids=name_of)
def test_never_in_a_transaction(argv, pair):
    for server in (pair.l2, pair.larder):
        with server.conn() as conn:
            assert conn("MULTI") == b"OK"
            assert conn(*argv) == b"ERR Command not allowed inside a transaction"
            assert conn("EXEC").startswith(b"EXECABORT")


def test_pfdebug_concerns_a_key(pair):
    with pair.larder.conn() as conn:
        conn("PFADD", "h", "a", "b")
        sparse = conn("GET", "h")
        assert conn("PFDEBUG", "ENCODING", "h") == b"sparse"
        assert conn("PFDEBUG", "TODENSE", "h") == 1
        assert conn("PFDEBUG", "ENCODING", "h") == b"dense"
        assert conn("GET", "h") != sparse


@pytest.mark.parametrize("argv", ADMIN, ids=name_of)
def test_order_in_a_pipeline(argv, larder):
    with larder.conn() as conn:
        got = conn.pipeline([("SET", "k", "1"), ("GET", "k"), argv, ("INCR", "k"), ("GET", "k")])
        assert got[:2] == [b"OK", b"1"] and isinstance(got[2], Error) and got[3:] == [2, b"2"]


def test_xread_without_block_falls_through(pair):
    with pair.larder.conn() as conn:
        assert conn("XADD", "block", "1-1", "f", "v") == b"1-1"
        assert conn("XREAD", "STREAMS", "block", "0")[0][0] == b"block"
