"""Time: TTLs through larder are L2's, and no value is served past its deadline."""

import time

import pytest

from support.resp import NIL, poll

SLACK_MS = 5


def took_ms(conn, *words):
    """How long a command took, by which L1 may end a key too early if it was the fetch."""
    begin = time.monotonic()
    conn(*words)
    return 1000 * (time.monotonic() - begin)


def sandwiched(direct, conn, command="PTTL", key="k", slack=SLACK_MS, early_ms=0):
    """larder's answer lies between two direct ones, give or take the slack (in the command's unit), or
    is less by what its fetch took."""
    high = direct(command, key)
    begin = time.monotonic()
    got = conn(command, key)
    early_ms += 1000 * (time.monotonic() - begin)
    low = direct(command, key)
    early = early_ms / (1 if command.startswith("P") else 1000)
    assert min(low, high) - slack - early <= got <= max(low, high) + slack, (high, got, low)


def served_too_long(conn, direct, key):
    """Reads the key until it is gone. By how many seconds a read behind its end still found it."""
    at = direct("PEXPIRETIME", key) / 1000
    served_until = 0
    until = time.monotonic() + 20
    while time.monotonic() < until:
        asked = time.time()
        if conn("GET", key) is NIL:
            return served_until - at
        served_until = asked
    pytest.fail("never gone")


@pytest.mark.parametrize("ttl", (2900, 5000, 100000, 86400000, 99999999999))
def test_the_remaining_time_is_exact(ttl, pair):
    with pair.l2.conn() as direct, pair.larder.conn() as conn:
        direct("SET", "k", "v", "PX", ttl)
        sandwiched(direct, conn)
        early = took_ms(conn, "CACHE", "FLUSH") + took_ms(conn, "GET", "k")
        filled = pair.l2.calls("get")
        for _ in range(5):
            assert conn("PTTL", "k") > 0
            for command in ("PTTL", "PEXPIRETIME"):
                sandwiched(direct, conn, command, early_ms=early)
            for command in ("TTL", "EXPIRETIME"):
                sandwiched(direct, conn, command, slack=1, early_ms=early)
        assert pair.l2.calls("get") == filled


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
        assert conn("PTTL", "k") > 90000
        direct(*change)
        poll(lambda: abs(conn("PTTL", "k") - direct("PTTL", "k")) <= 2000)
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
                late = served_too_long(conn, direct, key)
                assert late <= 0.002, f"{1000 * late:.1f} ms too long"
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
        poll(lambda: conn(*read) == gone, every=0.002)
        assert conn(*read) == gone


def test_a_fill_takes_the_time_that_is_left(pair):
    """A key that was half way to its end when it was read ends at its own time, not later."""
    with pair.l2.conn() as direct, pair.larder.conn() as conn:
        direct("SET", "k", "v", "PX", 2000)
        poll(lambda: direct("PTTL", "k") < 1800)
        early = took_ms(conn, "GET", "k")
        assert conn("GET", "k") == b"v"
        sandwiched(direct, conn, early_ms=early)
        late = served_too_long(conn, direct, "k")
        assert late <= 0.002, f"{1000 * late:.1f} ms too long"
        assert direct("GET", "k") is NIL


def test_alone_keys_end_in_time(alone):
    with alone.larder.conn() as conn:
        conn("SET", "k", "v", "PX", 60)
        at = conn("PEXPIRETIME", "k") / 1000
        poll(lambda: conn("GET", "k") is NIL, every=0)
        assert time.time() >= at - 0.002
        assert conn("DBSIZE") in (0, 1)
        poll(lambda: conn("DBSIZE") == 0, 5.0, why="expired keys are removed in time")
