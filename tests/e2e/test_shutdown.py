"""Leaving: what is in flight is finished on SIGTERM and SIGINT, within its time, with status 0.
Larder.stop fails when that takes 20 seconds."""

import signal

import pytest

from support.resp import OK, Closed, Conn, Error, encode, poll
from support.stats import info

SLOW = "local n = 0 for i = 1, tonumber(ARGV[1]) do n = n + i end return 'finished'"


def taken(larder, name):
    """Waits until larder has read a client's commands up to the named one."""
    mark = b" cmd=%s " % name.encode()
    with larder.conn() as other:
        poll(lambda: mark in other("CLIENT", "LIST"), 10.0, why=f"{name} is being served")


def blocked_at(server):
    with server.conn() as conn:
        return int(info(conn, "clients")["blocked_clients"])


@pytest.mark.parametrize("number", (signal.SIGTERM, signal.SIGINT))
def test_requests_in_flight_finish(number, new_redis, new_larder):
    l2 = new_redis()
    larder = new_larder(l2)
    with larder.conn() as conn:
        conn("SET", "k", "v")
        conn.send(encode("EVAL", SLOW, 0, 30000000) + encode("SET", "k", "w") + encode("GET", "k"))
        taken(larder, "get")
        larder.signal(number)
        assert conn.read(20).value == b"finished"
        assert conn.read().value == OK
        assert conn.read().value == b"w"
        assert conn.until_closed() == b""
    assert l2.once("GET", "k") == b"w"
    larder.stop()


def test_idle_clients_are_closed(new_larder):
    larder = new_larder(None, "--shutdown-timeout", "600")
    conns = [larder.conn() for _ in range(50)]
    assert [c("PING") for c in conns] == [b"PONG"] * 50
    larder.stop()
    for conn in conns:
        assert conn.until_closed() == b""


def test_bounded_when_l2_hangs(new_redis, new_larder):
    l2 = new_redis()
    larder = new_larder(l2, "--shutdown-timeout", "1", "--upstream-timeout", "60000",
                        "--upstream-ping-interval", "60000")
    with larder.conn() as conn:
        l2.signal(signal.SIGSTOP)
        try:
            conn.send(encode("SET", "k", "v"))
            taken(larder, "set")
            larder.stop()
        finally:
            l2.signal(signal.SIGCONT)
        try:
            assert isinstance(conn.read().value, Error)
        except Closed:
            pass


def test_no_new_clients(new_redis, new_larder):
    l2 = new_redis()
    larder = new_larder(l2)
    with larder.conn() as conn:
        conn.send(encode("EVAL", SLOW, 0, 30000000))
        taken(larder, "eval")
        larder.signal(signal.SIGTERM)

        def refused():
            try:
                with Conn(larder.address, deadline=0.5) as late:
                    late.send(b"PING\r\n")
                    return late.until_closed(0.5) == b""
            except (OSError, Closed):
                return True
        poll(refused, 5.0)
        assert conn.read(20).value == b"finished"
    larder.stop()


def test_a_reply_that_nobody_reads_does_not_hold_it(new_redis, new_larder):
    larder = new_larder(new_redis(), "--shutdown-timeout", "1")
    with larder.conn() as conn:
        conn("SET", "k", b"x" * 100000)
        conn.send(encode("GET", "k") * 300)
        taken(larder, "get")
        larder.stop()


def test_who_waits_at_l2_does_not_hold_it(new_redis, new_larder):
    l2 = new_redis()
    larder = new_larder(l2, "--shutdown-timeout", "0")
    conns = [larder.conn() for _ in range(100)]
    try:
        assert conns[0]("WATCH", "k") == OK
        for conn in conns[1:50]:
            conn.send(encode("BLPOP", "never", 0))
        poll(lambda: blocked_at(l2) == 49, 10.0)
        for conn in conns[50:]:
            conn.send(encode("BLPOP", "never", 0))      # links that may still connect
        larder.stop()
        poll(lambda: blocked_at(l2) == 0, 10.0)
        for conn in conns:
            conn.until_closed()
    finally:
        for conn in conns:
            conn.close()


def test_while_l2_is_away(new_redis, new_larder):
    l2 = new_redis()
    larder = new_larder(l2, "--shutdown-timeout", "600")
    l2.kill()
    larder.stop()


def test_twice_in_a_row(new_larder):
    larder = new_larder()
    larder.signal(signal.SIGTERM)
    try:
        larder.signal(signal.SIGTERM)
    except ProcessLookupError:
        pass
    assert larder.process.wait(10) == 0
    larder.stopped = True
    larder.forget()


def test_sigpipe_and_sighup_do_not_end_it(new_larder):
    larder = new_larder()
    larder.signal(signal.SIGPIPE)
    with larder.conn() as conn:
        assert conn("PING") == b"PONG"


def test_straight_after_the_start(new_redis, new_larder):
    """Between connecting to L2 and being linked, too."""
    l2 = new_redis()
    for _ in range(5):
        larder = new_larder(f"127.0.0.1:{l2.port}")
        larder.stop()
