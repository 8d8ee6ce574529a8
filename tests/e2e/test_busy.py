"""An L2 that is busy with a script: its own words, at once, and a way to end it."""

import re
import signal
import threading

import pytest

from support.resp import Conn, Error, encode, poll

ENDLESS = ("EVAL", "while true do end", 0)
FOR_SECONDS = """
local t = redis.call('TIME')
local ends = t[1] * 1000 + t[2] / 1000 + ARGV[1]
repeat
    t = redis.call('TIME')
until t[1] * 1000 + t[2] / 1000 > ends
return 'done'
"""


def epoch(larder):
    """How often the link came up."""
    fields = larder.once("CACHE", "EXPLAIN", "k")
    return dict(zip(fields[::2], fields[1::2]))[b"link_epoch"]


def is_busy(value):
    return isinstance(value, Error) and value.startswith(b"BUSY ")


def until_busy(conn):
    """L2's words, once larder has them. PING is not sent on, so it waits behind nothing."""
    found = []

    def looks():
        found[:] = [conn("PING")]
        return is_busy(found[0])
    poll(looks, 10.0, why="BUSY")
    return found[0]


@pytest.fixture
def busy(new_redis, new_larder):
    """A pair whose L2 says early that it is busy; whatever runs there is ended."""
    l2 = new_redis("--busy-reply-threshold", "50")
    larder = new_larder(l2, "--upstream-timeout", "5000")
    larder.l2 = l2
    yield larder
    for kind in ("SCRIPT", "FUNCTION"):
        l2.once(kind, "KILL")


@pytest.mark.parametrize("db", (0, 7))
def test_script_kill(db, busy):
    before = epoch(busy)
    with busy.conn() as conn, busy.conn() as other, busy.conn() as third:
        for each in (conn, other, third):
            each("SELECT", db)
        third("SET", "k", "v")
        third("GET", "k")
        conn.send(encode(*ENDLESS))
        words = until_busy(other)
        with busy.l2.conn() as direct:
            assert words == direct("GET", "k")
        for refused in (("GET", "another"), ("SET", "k", "new"), ("DBSIZE",), ("PING",),
                        ("EVAL", "return 1", 0), ("HGETALL", "hash"), ("PUBLISH", "c", "m")):
            assert other(*refused) == words, refused
        assert third("GET", "k") == b"v"            # L1 goes on: nothing has changed yet
        assert other("SCRIPT", "KILL") == b"OK"
        ended = conn.read().value
        assert isinstance(ended, Error) and b"killed by user" in ended
        poll(lambda: other("SET", "k", "new") == b"OK", 10.0)
        assert third("GET", "k") == b"new" and other("PING") == b"PONG"
    assert epoch(busy) == before


def test_function_kill(busy):
    code = "#!lua name=lib\nredis.register_function('f', function() while true do end end)"
    with busy.conn() as conn, busy.conn() as other:
        assert conn("FUNCTION", "LOAD", code) == b"lib"
        conn.send(encode("FCALL", "f", 0))
        until_busy(other)
        running = other("FUNCTION", "STATS")
        assert running[1][1] == b"f"
        assert other("SCRIPT", "KILL").startswith(b"BUSY ")
        assert other("FUNCTION", "KILL") == b"OK"
        assert isinstance(conn.read().value, Error)
        poll(lambda: other("PING") == b"PONG", 10.0)
        assert other("FUNCTION", "KILL").startswith(b"NOTBUSY")
        assert other("SCRIPT", "KILL").startswith(b"NOTBUSY")
        assert other("FUNCTION", "STATS")[1] is None or not other("FUNCTION", "STATS")[1]


@pytest.mark.parametrize("threshold", (100, 1000))
def test_outlasts_the_timeout(threshold, new_redis, new_larder):
    """A script may run for as long as L2 says that it is busy, also when it says so just when the time is over."""
    l2 = new_redis("--busy-reply-threshold", threshold)
    larder = new_larder(l2, "--upstream-timeout", "1000")
    before = epoch(larder)
    with larder.conn(deadline=20) as conn, larder.conn(deadline=20) as behind:
        conn("SET", "k", "v")
        conn("GET", "k")
        conn.send(encode("EVAL", FOR_SECONDS, 0, 3500))
        behind.send(encode("SET", "late", "1"))     # waits behind it on the link, with its own deadline
        assert re.match(rb"UPSTREAM .* gave no reply", behind.read().value)
        assert conn.read().value == b"done"
        poll(lambda: behind("PING") == b"PONG", 10.0)
        assert behind("GET", "k") == b"v"
    assert epoch(larder) == before


def test_hangs_all_the_same(new_redis, new_larder):
    """An L2 that falls silent while it was busy is given up."""
    l2 = new_redis("--busy-reply-threshold", "50")
    larder = new_larder(l2, "--upstream-timeout", "1000")
    with larder.conn(deadline=20) as conn, larder.conn(deadline=20) as other:
        conn.send(encode(*ENDLESS))
        until_busy(other)
        l2.signal(signal.SIGSTOP)
        try:
            assert conn.read().value.startswith(b"UPSTREAM ")
            poll(lambda: other("GET", "x").startswith(b"UPSTREAM "), 15.0)
        finally:
            l2.signal(signal.SIGCONT)


def test_transactions(busy):
    with busy.conn() as conn, busy.conn() as early, busy.conn() as late:
        early("MULTI")
        early("INCR", "n")
        conn.send(encode(*ENDLESS))
        words = until_busy(late)
        with busy.conn() as dirty:
            dirty("MULTI")
            assert dirty("INCR", "n") == words
            assert dirty("EXEC") == b"EXECABORT Transaction discarded because of: " + words
        late("MULTI")
        assert late("INCR", "n") == words
        assert early("EXEC") == b"EXECABORT Transaction discarded because of: " + words
        assert early("SCRIPT", "KILL") == b"OK"
        conn.read()
        poll(lambda: early("PING") == b"PONG", 10.0)
        assert late("EXEC").startswith(b"EXECABORT Transaction discarded because of previous")
        assert early("EXISTS", "n") == 0


def test_somebody_elses_script(busy):
    """A script that was sent to L2 directly: L2 answers BUSY on the link, in every database, and the link stays."""
    before = epoch(busy)
    with busy.l2.conn() as direct, busy.conn() as conn, busy.conn() as other:
        other("SELECT", 5)
        direct.send(encode(*ENDLESS))
        poll(lambda: is_busy(conn("DBSIZE")), 10.0)
        words = conn("DBSIZE")
        for _ in range(5):
            assert other("SET", "k", "v") == words
            assert conn("SET", "k", "v") == words
        assert conn("SCRIPT", "KILL") == b"OK"
        poll(lambda: conn("SET", "k", "0") == b"OK" and other("SET", "k", "5") == b"OK", 10.0)
        assert busy.l2.once("GET", "k") == b"0"
        assert isinstance(direct.read().value, Error)
        assert conn("GET", "k") == b"0" and other("GET", "k") == b"5"
    assert epoch(busy) == before


def test_comes_up_behind_a_script(new_redis, new_larder):
    l2 = new_redis("--busy-reply-threshold", "50")
    with l2.conn() as direct:
        direct.send(encode(*ENDLESS))
        with l2.conn() as looking:
            poll(lambda: is_busy(looking("PING")), 10.0)
        larder = new_larder(f"127.0.0.1:{l2.port}")
        with larder.conn() as conn:
            words = until_busy(conn)
            assert words.startswith(b"BUSY Redis is busy running a script")
            assert conn("SCRIPT", "KILL") == b"OK"
            poll(lambda: conn("SET", "k", "v") == b"OK", 10.0)


def test_a_crowd_asks(busy):
    """Whoever asks while L2 is busy is answered, however many."""
    with busy.conn() as conn, busy.conn() as other:
        conn.send(encode(*ENDLESS))
        until_busy(other)
        conns = [Conn(busy.address) for _ in range(200)]
        answers = []

        def ask(each):
            answers.append(each("SET", "k", "v"))
        threads = [threading.Thread(target=ask, args=(each,)) for each in conns]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        for each in conns:
            each.close()
        assert len(answers) == 200 and all(is_busy(a) for a in answers)
        assert other("SCRIPT", "KILL") == b"OK"
        conn.read()
