"""Blocked clients: they wait at L2 on links of their own, and nobody waits for them."""

import time

import pytest

from support.resp import NIL, Conn, Error, encode, poll

POP = ("BLPOP", "queue", 0)


def links(l2):
    """Connections of larder at L2, the main one included."""
    return l2.once("CLIENT", "LIST").count(b"name=larder")


def blocked_at(l2):
    return int(dict(line.split(b":") for line in l2.once("INFO", "clients").split(b"\r\n")
                    if b":" in line)[b"blocked_clients"])


def test_a_thousand(pair):
    conns = [Conn(pair.larder.address) for _ in range(1000)]
    try:
        for conn in conns:
            conn.send(encode(*POP))
        poll(lambda: blocked_at(pair.l2) == 1000, 30.0, why=f"blocked: {blocked_at(pair.l2)}")
        with pair.larder.conn() as other:
            assert other("SET", "k", "v") == b"OK" and other("GET", "k") == b"v"
            for i in range(1000):
                other("RPUSH", "queue", i)
        got = {conn.read().value[1] for conn in conns}
        assert got == {b"%d" % i for i in range(1000)}
        poll(lambda: links(pair.l2) < 40, 10.0)
    finally:
        for conn in conns:
            conn.close()


def test_who_leaves_frees_the_link(pair):
    before = links(pair.l2)
    conns = [Conn(pair.larder.address) for _ in range(50)]
    for conn in conns:
        conn.send(encode(*POP))
    poll(lambda: blocked_at(pair.l2) == 50, 10.0)
    for conn in conns:
        conn.close()
    poll(lambda: blocked_at(pair.l2) == 0, 10.0)
    assert links(pair.l2) <= before + 16
    with pair.larder.conn() as conn:
        assert conn("RPUSH", "queue", "kept") == 1
        assert conn("LRANGE", "queue", 0, -1) == [b"kept"]


@pytest.mark.parametrize("how, want", (("TIMEOUT", None), ("ERROR", "UNBLOCKED")))
def test_unblock(how, want, pair):
    with pair.larder.conn() as conn, pair.larder.conn() as other:
        name = conn("CLIENT", "ID")
        conn.send(encode(*POP))
        poll(lambda: blocked_at(pair.l2) == 1, 10.0)
        assert other("CLIENT", "UNBLOCK", name, how) == 1
        got = conn.read().value
        assert (isinstance(got, Error) and got.startswith(want.encode())) if want else got == NIL
        assert other("CLIENT", "UNBLOCK", name) == 0
        assert conn("PING") == b"PONG"


def test_what_comes_behind_waits(pair):
    with pair.larder.conn() as conn, pair.larder.conn() as other:
        conn.send(encode(*POP))
        conn.send(encode("SET", "k", "after"))
        poll(lambda: blocked_at(pair.l2) == 1, 10.0)
        assert other("EXISTS", "k") == 0
        other("RPUSH", "queue", "x")
        assert conn.read().value == [b"queue", b"x"]
        assert conn.read().value == b"OK"
        assert other("GET", "k") == b"after"


def test_time_out_takes_its_time(pair):
    with pair.larder.conn() as conn:
        started = time.monotonic()
        conn("BLPOP", "queue", "0.2")
        assert time.monotonic() - started >= 0.2


def test_a_limit(new_redis, new_larder):
    l2 = new_redis()
    larder = new_larder(l2, "--upstream-pinned-max", "2")
    conns = [larder.conn() for _ in range(3)]
    try:
        for conn in conns[:2]:
            conn.send(encode(*POP))
        poll(lambda: blocked_at(l2) == 2, 10.0)
        got = conns[2](*POP)
        assert isinstance(got, Error) and b"upstream-pinned-max" in got
        assert conns[2]("PING") == b"PONG"
    finally:
        for conn in conns:
            conn.close()


def test_l2_goes_away(new_redis, new_larder):
    l2 = new_redis()
    larder = new_larder(l2, "--upstream-timeout", "500")
    with larder.conn() as conn, larder.conn() as watcher:
        assert watcher("WATCH", "k") == b"OK"
        conn.send(encode(*POP))
        poll(lambda: blocked_at(l2) == 1, 10.0)
        l2.once("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        got = conn.read().value
        assert isinstance(got, Error) and got.startswith(b"UPSTREAM")
        watcher("MULTI")
        watcher("SET", "k", "v")
        assert watcher("EXEC") == NIL, "what was watched is unknown"
        poll(lambda: watcher("GET", "k") == NIL, 5.0)


def test_watch_does_not_read_from_l1(pair):
    """A value of L1 whose invalidation is on its way would be older than the watch."""
    with pair.larder.conn() as conn:
        conn("SET", "k", "1")
        conn("GET", "k")
        conn("GET", "k")
        assert conn("WATCH", "k") == b"OK"
        pair.l2.once("CONFIG", "RESETSTAT")
        for _ in range(5):
            conn("GET", "k")
        assert b"cmdstat_get:calls=5" in pair.l2.once("INFO", "commandstats")
        assert conn("UNWATCH") == b"OK"


def test_mget_while_watching_reads_from_l2(pair):
    with pair.larder.conn() as conn:
        conn("MSET", "k", "1", "j", "2")
        conn("MGET", "k", "j")
        conn("MGET", "k", "j")
        assert conn("WATCH", "k") == b"OK"
        pair.l2.once("CONFIG", "RESETSTAT")
        assert conn("MGET", "k", "j") == [b"1", b"2"]
        assert b"cmdstat_mget:calls=1" in pair.l2.once("INFO", "commandstats")
        conn("UNWATCH")
