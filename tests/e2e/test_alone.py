"""larder without an upstream: the rows that L1 can serve by itself, compared with redis-server."""

import pytest

import rows  # noqa: F401  (fills the table)
from support.resp import Error
from support.table import MODES, TABLE, differences, play

# The commands that larder promises without an upstream: those on strings and keys.
SERVED = set(b"""GET SET SETEX PSETEX SETNX GETSET GETDEL GETEX APPEND STRLEN GETRANGE SUBSTR
    SETRANGE INCR DECR INCRBY DECRBY INCRBYFLOAT MGET MSET MSETNX DEL UNLINK EXISTS TYPE TOUCH
    EXPIRE PEXPIRE EXPIREAT PEXPIREAT TTL PTTL EXPIRETIME PEXPIRETIME PERSIST RENAME RENAMENX COPY
    FLUSHDB FLUSHALL DBSIZE SELECT MOVE SWAPDB KEYS SCAN RANDOMKEY OBJECT LCS SETBIT GETBIT BITCOUNT
    BITPOS BITOP BITFIELD BITFIELD_RO PING ECHO QUIT RESET AUTH HELLO CLIENT NOSUCH""".split())

# HELP has its own words.
ROWS = [r for r in TABLE if r.commands() <= SERVED
        and not any(s.argv[1:] == [b"HELP"] for s in r.steps)]


@pytest.mark.parametrize("row", ROWS, ids=lambda r: r.name)
def test_row(row, redis_session, alone):
    wrong = []
    for mode in MODES:
        direct = play(redis_session.address, row, mode)
        got = play(alone.larder.address, row, mode)
        wrong += [f"[{mode}] {d}" for d in differences(row, direct, got)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("argv", [("LPUSH", "l", "a"), ("HSET", "h", "f", "v"),
                                  ("EVAL", "return 1", 0), ("SADD", "s", "a")])
def test_what_needs_l2_is_a_clear_error(argv, alone):
    with alone.larder.conn() as conn:
        got = conn(*argv)
        assert isinstance(got, Error) and len(got) > 10, got
        assert conn("PING") == b"PONG"


def test_no_upstream_in_the_statistics(alone):
    with alone.larder.conn() as conn:
        conn("SET", "k", "v")
        assert conn("GET", "k") == b"v"
        assert conn("DBSIZE") == 1
