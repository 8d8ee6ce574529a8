"""A line so slow that invalidations queue up behind a long reply: the link is never silent, and yet
what L1 holds is outdated. It must not be trusted beyond upstream-ping-interval + upstream-timeout."""

import signal
import time

import pytest

from support.faults import FaultProxy
from support.resp import OK, Error, poll

BOUND = 0.2 + 0.5
NOISE = 3.0


@pytest.fixture
def proxy(redis):
    proxy = FaultProxy(redis)
    yield proxy
    proxy.discard()


def test_a_slow_line(redis, proxy, new_larder):
    larder = new_larder(proxy.upstream_value(), "--upstream-ping-interval", "200",
                        "--upstream-timeout", "500")
    larder.linked()
    redis.once("SET", "k", "old")
    redis.once("SET", "big", "x" * 3_000_000)
    with larder.conn() as conn, larder.conn() as other, redis.conn() as direct:
        assert conn("GET", "k") == b"old"
        proxy("drip", 2000, 20)             # 100 kB/s: the reply takes half a minute
        other.send(b"GETRANGE big 0 -1\r\n")
        time.sleep(0.1)
        direct("SET", "k", "new")
        poll(lambda: conn("GET", "k") != b"old", BOUND + NOISE,
             why="the old value is not served any more")
        assert isinstance(other.read().value, Error)
        proxy("clear")
        poll(lambda: conn("GET", "k") == b"new", 10.0, why="larder is back")
        assert "ms behind" in larder.log()


def test_a_script_is_ahead_of_its_invalidations(redis, proxy, new_larder):
    """The client whose script wrote a key that it did not declare reads its own write, also when L2's
    invalidation comes long after the script's reply."""
    larder = new_larder(proxy.upstream_value())
    larder.linked()
    redis.once("SET", "k", "old")
    with larder.conn(deadline=10) as conn:
        assert conn("GET", "k") == b"old"
        proxy("drip", len(b"+OK\r\n"), 50)      # the reply first, and 50 ms later the rest
        assert conn("EVAL", "return redis.call('set', ARGV[1], ARGV[2])", 0, "k", "new") == OK
        assert conn("GET", "k") == b"new"


def is_stopped(server):
    with open(f"/proc/{server.pid}/stat", encoding="ascii") as stat:
        return stat.read().rsplit(")", 1)[1].split()[0] == "T"


def test_a_larder_that_was_stopped(redis, new_larder):
    """Stopped for a moment, as by a busy host: what L2 has said meanwhile counts before what clients
    ask, whoever was first."""
    larder = new_larder(redis)
    redis.once("SET", "k", "old")
    with larder.conn() as conn, redis.conn() as direct:
        assert conn("GET", "k") == b"old"
        larder.signal(signal.SIGSTOP)
        try:
            poll(lambda: is_stopped(larder))
            conn.send(b"PING\r\n")
            assert direct("SET", "k", "new") == OK
            time.sleep(0.1)
            conn.send(b"GET k\r\n")
        finally:
            larder.signal(signal.SIGCONT)
        assert conn.read().value == b"PONG"
        assert conn.read().value == b"new"
