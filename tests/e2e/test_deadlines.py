"""Time: TTLs through larder are L2's, and no value is served past its deadline."""

import time

import pytest

from support.resp import NIL, poll
from support.watch import data_calls

SLACK_MS = 5


def sandwiched(direct, conn, command="PTTL", key="k", slack=SLACK_MS):
    """larder's answer lies between two direct ones, give or take the slack (ms)."""
    high = direct(command, key)
    got = conn(command, key)
    low = direct(command, key)
    assert min(low, high) - slack <= got <= max(low, high) + slack, (high, got, low)


@pytest.mark.parametrize("ttl", (900, 5000, 100000, 86400000, 99999999999))
def test_the_remaining_time_is_exact(ttl, pair):
    with pair.l2.conn() as direct, pair.larder.conn() as conn:
        direct("SET", "k", "v", "PX", ttl)
        sandwiched(direct, conn)
        conn("GET", "k")
        filled = data_calls(pair.l2)
        for _ in range(5):
            got, before = conn("PTTL", "k"), time.monotonic()
            assert got > 0
            sandwiched(direct, conn)
            sandwiched(direct, conn, "PEXPIRETIME")
            sandwiched(direct, conn, "TTL", slack=1)
            sandwiched(direct, conn, "EXPIRETIME", slack=1)
            assert time.monotonic() >= before
        assert pair.l2.calls("get") + 0 <= data_calls(pair.l2)
        assert filled > 0


def test_the_remaining_time_of_own_writes(pair):
    with pair.l2.conn() as direct, pair.larder.conn() as conn:
        conn("SET", "k", "v", "PX", 50000)
        sandwiched(direct, conn)
        conn("PEXPIRE", "k", 70000)
        sandwiched(direct, conn)
        conn("GETEX", "k", "PX", 90000)
        sandwiched(direct, conn)
        conn("PERSIST", "k")
        assert conn("PTTL", "k") == direct("PTTL", "k") == -1


@pytest.mark.parametrize("change", [("PEXPIRE", "k", 50000), ("EXPIRE", "k", 50),
                                    ("PEXPIREAT", "k", 9999999999000), ("PERSIST", "k"),
                                    ("GETEX", "k", "PX", 70000)], ids=lambda c: c[0])
def test_a_direct_change_of_the_deadline_is_seen(change, pair):
    with pair.l2.conn() as direct, pair.larder.conn() as conn:
        direct("SET", "k", "v", "PX", 100000)
        conn("GET", "k")
        assert conn("PTTL", "k") > 99000
        direct(*change)
        poll(lambda: abs(conn("PTTL", "k") - direct("PTTL", "k")) <= SLACK_MS, 1.0)
        assert conn("GET", "k") == b"v"


@pytest.mark.parametrize("active", (0, 1))
def test_nothing_is_served_past_its_deadline(active, pair):
    """Without active expiry L2 never pushes, so larder must own the deadline."""
    with pair.l2.conn() as direct, pair.larder.conn() as conn:
        direct("DEBUG", "SET-ACTIVE-EXPIRE", active)
        try:
            for i in range(10):
                key = f"k{i}"
                direct("SET", key, "v", "PX", 60 + i)
                at = direct("PEXPIRETIME", key) / 1000
                served_until = 0
                until = time.monotonic() + 3
                while time.monotonic() < until:
                    asked = time.time()
                    if conn("GET", key) is NIL:
                        break
                    served_until = asked
                else:
                    pytest.fail("served for three seconds")
                assert served_until <= at + 0.002, f"{1000 * (served_until - at):.1f} ms too long"
        finally:
            direct("DEBUG", "SET-ACTIVE-EXPIRE", 1)


@pytest.mark.parametrize("read,gone", [(("GET", "k"), NIL), (("EXISTS", "k"), 0),
                                       (("TTL", "k"), -2), (("PTTL", "k"), -2),
                                       (("STRLEN", "k"), 0), (("MGET", "k"), [NIL]),
                                       (("TYPE", "k"), b"none"), (("GETRANGE", "k", 0, -1), b"")],
                         ids=lambda r: r[0] if isinstance(r, tuple) else "")
def test_each_read_sees_the_end(read, gone, pair):
    with pair.l2.conn() as direct, pair.larder.conn() as conn:
        direct("SET", "k", "v", "PX", 50)
        conn("GET", "k")
        poll(lambda: conn(*read) == gone, 2.0, every=0.002)
        assert conn(*read) == gone


def test_a_fill_takes_the_time_that_is_left(pair):
    """A key that was half way to its end when it was read ends at its own time, not later."""
    with pair.l2.conn() as direct, pair.larder.conn() as conn:
        direct("SET", "k", "v", "PX", 300)
        poll(lambda: direct("PTTL", "k") < 200, 2.0)
        assert conn("GET", "k") == b"v"
        sandwiched(direct, conn)
        poll(lambda: conn("GET", "k") is NIL, 1.0)
        assert direct("GET", "k") is NIL


def test_alone_keys_end_in_time(alone):
    with alone.larder.conn() as conn:
        conn("SET", "k", "v", "PX", 60)
        at = conn("PEXPIRETIME", "k") / 1000
        poll(lambda: conn("GET", "k") is NIL, 2.0, every=0)
        assert time.time() >= at - 0.002
        assert conn("DBSIZE") in (0, 1)
        poll(lambda: conn("DBSIZE") == 0, 5.0, why="expired keys are removed in time")
