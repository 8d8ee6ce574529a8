"""Properties of policies that are about writes: write-allocate and l2-ttl-factor."""

import time

import pytest

from support.seen import WAIT, explain, l1, state
from support.resp import NIL, OK, Error, poll

SETS = [("SET", "p:k", "v"), ("SET", "p:k", "v", "EX", 1000), ("SETEX", "p:k", 1000, "v"),
        ("PSETEX", "p:k", 1000000, "v"), ("SET", "p:k", "v", "XX"), ("SET", "p:k", "v", "KEEPTTL"),
        ("SET", "p:k", "v", "PXAT", 33333333333333)]


# write-allocate

@pytest.fixture
def allocating(new_redis, new_larder):
    l2 = new_redis()
    larder = new_larder(l2, "--policy", "p: write-allocate=yes")
    larder.l2 = l2
    return larder


def allocated(conn, key, n_bytes=1):
    seen = explain(conn, key)
    return seen["tier"] == "L1" and seen["kind"] == "string" and seen["state"] == "fresh" and \
        seen["value_bytes"] == n_bytes and seen["tracked"] in (1, True)


@pytest.mark.parametrize("proto", (2, 3))
@pytest.mark.parametrize("command", SETS, ids=lambda c: " ".join(map(str, c[:1] + c[3:4])))
def test_write_allocate(command, proto, allocating):
    """The value is in L1 with the reply, tracked, and a later read costs L2 nothing."""
    l2 = allocating.l2
    with allocating.conn(proto) as conn, l2.conn() as direct:
        for i in range(3):
            direct("SET", "p:k", "before")
            poll(lambda: explain(conn, "p:k")["last_drop"] == "invalidation" or i == 0, WAIT)
            assert conn(*command) == OK
            assert allocated(conn, "p:k")
            gets = l2.calls("get")
            assert conn("GET", "p:k") == b"v" and conn("STRLEN", "p:k") == 1
            assert l2.calls("get") == gets
            ttl = conn("PTTL", "p:k")
            assert abs(ttl - direct("PTTL", "p:k")) < 1000
            direct("SET", "p:k", "theirs")
            poll(lambda: conn("GET", "p:k") == b"theirs", WAIT, why="it is tracked")
        assert l1(conn, "fills_allocated") == 3


def test_write_allocate_when_nothing_was_written(allocating):
    """NX and XX that did not write: what L1 has is what L2 has."""
    with allocating.conn() as conn, allocating.l2.conn() as direct:
        direct("SET", "p:there", "theirs")
        assert conn("SET", "p:there", "mine", "NX") is NIL
        assert conn("GET", "p:there") == b"theirs"
        assert conn("SET", "p:none", "mine", "XX") is NIL
        assert conn("GET", "p:none") is NIL
        direct("RPUSH", "p:list", "a")
        assert conn("SET", "p:list", "v", "GET").startswith(b"WRONGTYPE")
        assert conn("LRANGE", "p:list", 0, -1) == [b"a"]
        got = conn("SET", "p:there", "mine", "GET")
        assert got == b"theirs" and conn("GET", "p:there") == b"mine"
        assert conn("SET", "p:x", "v", "NOSUCH") == direct("SET", "p:x", "v", "NOSUCH")
        assert conn("SETEX", "p:x", 0, "v") == direct("SETEX", "p:x", 0, "v")
        assert conn("GET", "p:x") is NIL


def test_write_allocate_keeps_order(allocating):
    """In one packet: each read sees the write before it."""
    with allocating.conn() as conn:
        commands, expected = [], []
        for i in range(300):
            commands += [("SET", "p:k", i), ("GET", "p:k"), ("APPEND", "p:k", "+"), ("GET", "p:k")]
            expected += [OK, b"%d" % i, len(str(i)) + 1, b"%d+" % i]
        assert conn.pipeline(commands) == expected


def test_write_allocate_of_other_prefixes(allocating):
    with allocating.conn() as conn:
        assert conn("SET", "q:k", "v") == OK and state(conn, "q:k") == "none"
        assert conn("CACHE", "POLICY", "SET", "p:", "max-item=1kb") == OK
        assert conn("SET", "p:k", "x" * 1025) == OK and state(conn, "p:k") == "none"
        assert conn("SET", "p:k", "x" * 1024) == OK and allocated(conn, "p:k", 1024)
        assert conn("CONFIG", "SET", "write-allocate", "yes") == OK
        assert conn("SET", "q:k", "v") == OK and allocated(conn, "q:k")
        assert conn("CONFIG", "SET", "l1-enabled", "no") == OK
        assert conn("SET", "q:k", "w") == OK and conn("GET", "q:k") == b"w"


def test_write_allocate_while_l2_is_gone(allocating):
    """One error for the write, and nothing in L1."""
    with allocating.conn() as conn:
        assert conn("SET", "p:k", "v") == OK
        allocating.l2.kill()
        poll(lambda: isinstance(conn("SET", "p:k", "w"), Error), WAIT)
        got = conn.pipeline([("SET", "p:k", "w"), ("PING",), ("GET", "p:k"), ("PING",)])
        assert isinstance(got[0], Error) and isinstance(got[2], Error)
        assert got[1] == got[3] == b"PONG"
        assert state(conn, "p:k") == "none"


# l2-ttl-factor

@pytest.fixture
def stretching(new_redis, new_larder):
    l2 = new_redis()
    larder = new_larder(l2, "--policy", "p: l2-ttl-factor=3", "--policy", "half: l2-ttl-factor=1.5",
                        "--l1-ttl", 0)
    larder.l2 = l2
    return larder


def wall_ms():
    return int(time.time() * 1000)


# A write of p:k with 100 s to live.
SPANS = {
    "EX": lambda: ("SET", "p:k", "v", "EX", 100),
    "PX": lambda: ("SET", "p:k", "v", "px", 100_000),
    "EXAT": lambda: ("SET", "p:k", "v", "EXAT", wall_ms() // 1000 + 100),
    "PXAT": lambda: ("SET", "p:k", "v", "pxat", wall_ms() + 100_000),
    "SETEX": lambda: ("SETEX", "p:k", 100, "v"),
    "PSETEX": lambda: ("psetex", "p:k", 100_000, "v"),
    "XX": lambda: ("SET", "p:k", "v", "XX", "EX", 100),
    "before XX": lambda: ("SET", "p:k", "v", "EX", 100, "XX"),
}


@pytest.mark.parametrize("span", SPANS)
def test_l2_ttl_factor(span, stretching):
    """Three times as long at L2, and fresh here for as long as was asked for."""
    with stretching.conn() as conn, stretching.l2.conn() as direct:
        direct("SET", "p:k", "before")
        assert conn(*SPANS[span]()) == OK
        assert 270_000 < direct("PTTL", "p:k") <= 301_000
        assert conn("GET", "p:k") == b"v"
        assert 90_000 < explain(conn, "p:k")["fresh_ms"] <= 100_500
        assert 270_000 < conn("PTTL", "p:k") <= 301_000


def test_l2_ttl_factor_of_others(stretching):
    with stretching.conn() as conn, stretching.l2.conn() as direct:
        conn("SET", "q:k", "v", "EX", 100)
        assert 90_000 < direct("PTTL", "q:k") <= 100_000
        conn("SET", "half:k", "v", "PX", 100_000)
        assert 140_000 < direct("PTTL", "half:k") <= 150_000
        conn("SET", "p:k", "v")
        assert direct("PTTL", "p:k") == -1 and explain(conn, "p:k").get("fresh_ms", -1) == -1
        conn("SET", "p:k", "v", "EX", 100)
        conn("SET", "p:k", "w", "KEEPTTL")
        assert 270_000 < direct("PTTL", "p:k") <= 300_000


BAD = [("SET", "p:k", "v", "EX", 0), ("SET", "p:k", "v", "EX", -5), ("SET", "p:k", "v", "EX", "x"),
       ("SET", "p:k", "v", "EX"), ("SET", "p:k", "v", "PX", "1.5"), ("SET", "p:k", "v", "EX", ""),
       ("SET", "p:k", "v", "EX", 9223372036854775807), ("SET", "p:k", "v", "EX", 10, "PX", 10),
       ("SET", "p:k", "v", "EX", 9223372036854776), ("SET", "p:k", "v", "PX", 9223372036854775807),
       ("SET", "p:k", "v", "EX", "99999999999999999999"), ("SET", "p:k", "v", "EX", 10, "KEEPTTL"),
       ("SET", "p:k", "v", "EXAT", 0), ("SET", "p:k", "v", "PXAT", -1), ("SET", "p:k"),
       ("SET", "p:k", "v", "EXAT", 9223372036854775807), ("SET", "p:k", "v", "EX", 10, "BAD"),
       ("SETEX", "p:k", 0, "v"), ("SETEX", "p:k", "x", "v"), ("PSETEX", "p:k", -1, "v"),
       ("SETEX", "p:k", 9223372036854775807, "v"), ("SETEX", "p:k", 10), ("PSETEX", "p:k", "", "v")]


@pytest.mark.parametrize("allocate", ("yes", "no"))
def test_bad_times_are_redis_errors(allocate, stretching):
    with stretching.conn() as conn, stretching.l2.conn() as direct:
        conn("CACHE", "POLICY", "SET", "p:", "write-allocate=" + allocate)
        for command in BAD:
            assert conn.ask(*command).raw == direct.ask(*command).raw, command
            assert conn("EXISTS", "p:k") == 0, command


def test_past_moments_delete(stretching):
    """As in Redis: OK, and the key is gone."""
    with stretching.conn() as conn, stretching.l2.conn() as direct:
        for command in (("SET", "p:k", "v", "EXAT", 1), ("SET", "p:k", "v", "PXAT", 1000)):
            direct("SET", "p:k", "old")
            assert conn("GET", "p:k") in (b"old", NIL)
            assert conn(*command) == direct(*command) == OK
            assert conn("GET", "p:k") is NIL and direct("GET", "p:k") is NIL


def test_l2_ttl_factor_serves_stale_values(new_redis, new_larder):
    """What it is for: behind the time that was asked for, L2 has the value for a refresh, and L1 for an outage."""
    l2 = new_redis()
    larder = new_larder(l2, "--policy", "p: l2-ttl-factor=1000 stale-if-error=1h "
                                        "write-allocate=yes")
    with larder.conn() as conn, l2.conn() as direct:
        assert conn("SET", "p:k", "v", "PX", 200) == OK
        poll(lambda: explain(conn, "p:k")["fresh_ms"] == 0, WAIT)
        assert direct("GET", "p:k") == b"v"
        l2.kill()
        poll(lambda: isinstance(conn("SET", "probe", "v"), Error), WAIT)
        assert conn("GET", "p:k") == b"v"
        assert l1(conn, "stale_if_error") >= 1
