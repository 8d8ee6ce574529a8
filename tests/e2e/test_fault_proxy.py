"""The fault proxy itself, between a client and redis-server: each fault is what it says, and ends."""

import os
import socket
import time

import pytest

from support.faults import FaultProxy, run
from support.resp import OK, Closed, Deadline, ProtocolError, poll
from support.servers import Failure

pytestmark = pytest.mark.direct


@pytest.fixture
def proxy(redis):
    proxy = FaultProxy(redis)
    yield proxy
    assert proxy.alive(), proxy.log()
    proxy.discard()


def test_it_relays_in_order(proxy):
    with proxy.conn() as conn, proxy.conn() as other:
        assert conn.pipeline([("INCR", "n")] * 1000) == list(range(1, 1001))
        value = os.urandom(3_000_000)
        assert other("SET", "big", value) == OK
        assert conn("GET", "big") == value
        assert proxy.stats()["sessions"] == 2
    poll(lambda: proxy.stats()["sessions"] == 0)
    assert proxy.stats()["accepted"] == 2


def test_bad_commands(proxy):
    for words in (["nonsense"], ["delay"], ["delay", "x"], ["delay", -1], ["delay", 1, 2, 3],
                  ["split", 0], ["cut", "now"], ["drip", 5], ["storm", 1], ["garbage", "many"]):
        with pytest.raises(Failure):
            proxy(*words)
    assert proxy("stats")


def test_delay(proxy):
    with proxy.conn() as conn:
        proxy("delay", 50, 20)
        for i in range(1, 4):
            begin = time.monotonic()
            assert conn("INCR", "n") == i
            assert time.monotonic() - begin >= 0.1, "50 ms each way"
        assert conn.pipeline([("INCR", "n")] * 100) == list(range(4, 104)), "order"
        proxy("clear")
        assert conn("INCR", "n") == 104


@pytest.mark.parametrize("what", ("freeze", "freeze all"))
def test_freeze(what, proxy):
    with proxy.conn() as conn:
        assert conn("SET", "k", "v") == OK
        proxy(what)
        conn.send(b"GET k\r\n")
        with pytest.raises(Deadline):
            conn.read(0.1)
        with proxy.conn(deadline=0.2) as late:
            if what == "freeze":
                assert late("GET", "k") == b"v"
            else:
                with pytest.raises(Deadline):
                    late("GET", "k")
            proxy("thaw")
            assert conn.read().value == b"v"


def test_what_a_frozen_connection_held_comes_late(proxy, redis):
    """Whoever closes while frozen has still sent what it sent."""
    conn = proxy.conn()
    assert conn("SET", "k", "v") == OK
    proxy("freeze")
    conn.send(b"SET k late\r\n")
    conn.close()
    time.sleep(0.02)
    assert redis.once("GET", "k") == b"v"
    proxy("clear")
    poll(lambda: redis.once("GET", "k") == b"late")
    poll(lambda: proxy.stats()["sessions"] == 0)


@pytest.mark.parametrize("what", ("cut", "reset"))
def test_cut_and_reset(what, proxy):
    with proxy.conn() as conn:
        assert conn("PING") == b"PONG"
        proxy(what)
        conn.sock.settimeout(5)
        if what == "cut":
            assert conn.sock.recv(100) == b""
        else:
            with pytest.raises(ConnectionResetError):
                conn.sock.recv(100)
    with proxy.conn() as conn:
        assert conn("PING") == b"PONG"


@pytest.mark.parametrize("n", ("", 7))
def test_cut_in_reply(n, proxy, redis):
    redis.once("SET", "k", "x" * 1000)
    with proxy.conn() as conn:
        assert len(conn("GET", "k")) == 1000
        proxy("cut-in-reply", n)
        conn.send(b"GET k\r\n")
        got = conn.until_closed()
        assert (len(got) == n) if n else (0 < len(got) < 1007), got
    with proxy.conn() as conn:
        assert len(conn("GET", "k")) == 1000


def test_garbage(proxy):
    with proxy.conn() as conn:
        assert conn("PING") == b"PONG"
        proxy("garbage", 10)
        with pytest.raises(ProtocolError):
            conn("PING\r\n")
        assert len(bytes(conn.buf).split(b"+")[0].split(b"-")[0]) == 10


def test_the_same_seed_is_the_same_garbage(proxy, redis):
    def garbage(source):
        with source.conn() as conn:
            conn("PING")
            source("garbage", 50)
            return conn.quiet(0.05)[0]
    other = FaultProxy(redis)
    third = FaultProxy(redis, seed=2)
    try:
        first = garbage(proxy)
        assert len(first) == 50
        assert first == garbage(other)
        assert first != garbage(third)
    finally:
        other.discard()
        third.discard()


def test_refuse(proxy):
    with proxy.conn() as conn:
        proxy("refuse")
        assert conn("PING") == b"PONG", "what is there stays"
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(proxy.address)
        proxy("accept")
        with proxy.conn() as late:
            assert late("PING") == b"PONG"


def test_drip(proxy, redis):
    redis.once("SET", "k", "x" * 200)
    with proxy.conn() as conn:
        proxy("drip", 10, 10)
        begin = time.monotonic()
        assert len(conn("GET", "k")) == 200
        assert time.monotonic() - begin >= 0.19, "208 bytes, 10 in 10 ms"
        proxy("clear")
        assert conn.pipeline([("INCR", "n")] * 1000) == list(range(1, 1001))


def test_split(proxy):
    """What was sent together arrives in pieces, and others' commands run between two of them."""
    with proxy.conn() as conn, proxy.conn() as other:
        proxy("split", 30)
        for i in range(5000):
            conn.send(b"GET k\r\nGET k\r\n")
            other("SET", "k", i)
            if conn.read().value != conn.read().value:
                break
        else:
            pytest.fail("always as one")


def test_storm(proxy):
    with proxy.conn() as conn:
        assert conn("PING") == b"PONG"
        proxy("storm", 20, 10)
        assert conn.until_closed() == b""
    n_closed = 0
    while True:
        with proxy.conn() as conn:
            if not conn.quiet(0.5)[1]:
                break
            n_closed += 1
    assert 0 < n_closed <= 20
    assert proxy.stats()["accepted"] == n_closed + 2


def test_its_memory_is_bounded(proxy, redis):
    """Who doesn't read isn't read for: neither side's bytes pile up in the proxy."""
    redis.once("CONFIG", "SET", "client-output-buffer-limit", "normal 0 0 0")
    redis.once("SET", "big", "x" * 1_000_000)
    with proxy.conn() as conn:
        conn.sock.settimeout(0.2)
        conn.send(b"GET big\r\n" * 64)
        poll(lambda: proxy.stats()["queued-max"] >= 256 << 10)
        time.sleep(0.05)
        assert proxy.stats()["queued-max"] < 300 << 10
        for _ in range(64):
            assert len(conn.read().value) == 1_000_000


def test_commands_on_standard_input(redis):
    status, text = run("fault_proxy", redis.port, given="delay 5\nwhat\n\nstats\n", deadline=10)
    assert status == 0, "it ends with its standard input"
    port, *answers = text.splitlines()
    assert port.isdigit()
    assert [a.split()[0] for a in answers] == ["ok", "error:", "sessions"]
    assert run("fault_proxy", deadline=10)[0] == 2
