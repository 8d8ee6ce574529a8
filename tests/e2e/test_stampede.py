"""A thousand clients ask for one cold key at once: L2 is asked once, and each has its answer."""

import selectors
import socket
import time

import pytest

from support.seen import WAIT, l2_figure
from support.resp import Error, Incomplete, encode, parse, poll

CLIENTS = 1000
DELAY_MS = 50           # each way
DEADLINE = 60.0

READS = {
    "GET": (("SET", "k", "v" * 1000), ("GET", "k"), b"v" * 1000),
    "HGETALL": (("HSET", "k", "f", "v" * 1000), ("HGETALL", "k"), [b"f", b"v" * 1000]),
    "a missing key": (("SET", "other", "v"), ("GET", "k"), None),
}


class Crowd:
    """Connections that all send one command, and then read one reply each."""

    def __init__(self, server):
        self.socks = [socket.create_connection(server.address, 20) for _ in range(CLIENTS)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for sock in self.socks:
            sock.close()

    def send(self, *command):
        data = encode(*command)
        for sock in self.socks:
            sock.sendall(data)

    def replies(self):
        """What each got; Failure when one gets none, or more than one."""
        selector = selectors.DefaultSelector()
        for sock in self.socks:
            selector.register(sock, selectors.EVENT_READ, bytearray())
        got, until = [], time.monotonic() + DEADLINE
        while len(got) < CLIENTS:
            assert time.monotonic() < until, f"{CLIENTS - len(got)} clients have no reply"
            for key, _ in selector.select(1):
                data = key.fileobj.recv(65536)
                assert data, "closed"
                key.data.extend(data)
                try:
                    value, end = parse(key.data)
                except Incomplete:
                    continue
                assert end == len(key.data), "a reply too many"
                got.append(value)
                selector.unregister(key.fileobj)
        return got


@pytest.fixture
def far(new_redis, new_larder, new_proxy):
    """A larder whose L2 is 100 ms away."""
    l2 = new_redis()
    proxy = new_proxy(l2)
    larder = new_larder(proxy.upstream_value(), "--upstream-retry-budget", 0,
                        "--upstream-timeout", 30000)
    larder.linked()
    larder.l2, larder.proxy = l2, proxy
    proxy("delay", DELAY_MS)
    return larder


def gather(larder, crowd, command):
    """All clients have sent the command, and wait, but for those who came behind the reply."""
    crowd.send(*command)
    with larder.conn() as conn:
        poll(lambda: l2_figure(conn, "joins") == CLIENTS - 1, WAIT, why="all wait for one fetch")
        assert l2_figure(conn, "fetches") == 1


@pytest.mark.parametrize("name", READS)
def test_one_fetch_for_all(name, far):
    """Whoever comes while the fetch is under way joins it, whoever comes later finds the value."""
    put, command, expected = READS[name]
    far.l2.once(*put)
    with Crowd(far) as crowd, far.conn() as conn:
        crowd.send(*command)
        assert crowd.replies() == [expected] * CLIENTS
        assert far.l2.calls(command[0]) == 1
        assert l2_figure(conn, "fetches") == 1
        assert l2_figure(conn, "round_trips_saved") == CLIENTS - 1


@pytest.mark.parametrize("command", (("GET", "k"), ("HGETALL", "k")), ids=lambda c: c[0])
def test_one_fetch_fails_for_all(command, far):
    """The link is lost with the fetch: one fetch, a thousand errors."""
    with Crowd(far) as crowd, far.conn() as conn:
        far.proxy("freeze")
        gather(far, crowd, command)
        far.proxy("cut")
        got = crowd.replies()
        assert all(isinstance(each, Error) and each.startswith(b"UPSTREAM ") for each in got)
        assert len(set(got)) == 1
        assert l2_figure(conn, "fetches") == l2_figure(conn, "fetch_errors") == 1


def test_one_fetch_times_out_for_all(far):
    with Crowd(far) as crowd, far.conn() as conn:
        far.proxy("freeze")
        gather(far, crowd, ("GET", "k"))
        conn("CONFIG", "SET", "upstream-timeout", 100)
        got = crowd.replies()
        assert all(isinstance(each, Error) and each.startswith(b"UPSTREAM ") for each in got)
        assert l2_figure(conn, "fetches") == l2_figure(conn, "fetch_errors") == 1


def test_one_error_of_l2_for_all(far):
    """What is not kept is asked for once by all who wait, all the same."""
    far.l2.once("LPUSH", "k", "a")
    with Crowd(far) as crowd:
        far.proxy("freeze")
        gather(far, crowd, ("GET", "k"))
        far.proxy("thaw")
        got = crowd.replies()
        assert all(isinstance(each, Error) and each.startswith(b"WRONGTYPE ") for each in got)
        assert far.l2.calls("get") == 1


def test_one_retry_for_all(far):
    """With a budget, the fetch that was lost is sent once more, once for all."""
    far.l2.once("SET", "k", "v")
    with Crowd(far) as crowd, far.conn() as conn:
        conn("CONFIG", "SET", "upstream-retry-budget", 10)
        far.proxy("freeze")
        gather(far, crowd, ("GET", "k"))
        far.proxy("cut")
        assert crowd.replies() == [b"v"] * CLIENTS
        assert l2_figure(conn, "retries") == 1
        assert far.l2.calls("get") == 1
