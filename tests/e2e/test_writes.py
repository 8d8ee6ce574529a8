"""Writes: read your own writes in every order, and never see time run backwards."""

import threading
import time

import pytest

from support.resp import NIL, OK, poll


class Readers:
    """Connections that read one key all the time, each in a thread, and keep what they saw."""

    def __init__(self, server, key, count=3):
        self.end = threading.Event()
        self.seen = [[] for _ in range(count)]
        self.faults = []
        self.threads = [threading.Thread(target=self.run, args=(server, key, s), daemon=True)
                        for s in self.seen]

    def run(self, server, key, seen):
        try:
            with server.conn() as conn:
                while not self.end.is_set():
                    seen += conn.pipeline([("GET", key), ("MGET", key), ("GET", key)])
                    time.sleep(0.0005)
        except Exception as fault:      # noqa: BLE001  (handed to the main thread)
            self.faults.append(fault)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.end.set()
        for thread in self.threads:
            thread.join(20)
        assert not self.faults, self.faults[0]

    def numbers(self):
        for seen in self.seen:
            flat = [v[0] if isinstance(v, list) else v for v in seen]
            yield [int(v) for v in flat if v is not NIL]


@pytest.mark.parametrize("proto", (2, 3))
def test_a_thousand_sets_and_gets_in_one_packet(proto, pair):
    commands = [c for i in range(1000) for c in (("SET", "k", i), ("GET", "k"))]
    expected = [r for i in range(1000) for r in (OK, b"%d" % i)]
    with pair.larder.conn(proto) as conn, Readers(pair.larder, "k") as readers:
        for _ in range(3):
            assert conn.pipeline(commands) == expected
            conn("SET", "k", 0)
    assert any(readers.numbers())


@pytest.mark.parametrize("write,read", [
    (lambda i: ("SET", "k", i), lambda i: b"%d" % i),
    (lambda i: ("INCR", "k"), lambda i: b"%d" % (i + 1)),
    (lambda i: ("MSET", "x", 1, "k", i), lambda i: b"%d" % i),
    (lambda i: ("GETSET", "k", i), lambda i: b"%d" % i),
    (lambda i: ("EVAL", "return redis.call('set', KEYS[1], ARGV[1])", 1, "k", i),
     lambda i: b"%d" % i),
    (lambda i: ("DEL", "k") if i % 2 else ("SET", "k", i),
     lambda i: NIL if i % 2 else b"%d" % i)],
    ids=("SET", "INCR", "MSET", "GETSET", "EVAL", "DEL"))
def test_each_write_with_concurrent_readers(write, read, pair):
    with pair.larder.conn() as conn, Readers(pair.larder, "k"):
        for start in range(0, 300, 30):
            commands, expected = [], []
            for i in range(start, start + 30):
                commands += [write(i), ("GET", "k"), ("MGET", "k")]
                expected += [read(i), [read(i)]]
            got = [r for at, r in enumerate(conn.pipeline(commands)) if at % 3]
            assert got == expected
        for i in range(300, 400):
            conn(*write(i))
            assert conn("GET", "k") == read(i)


def test_a_counter_never_goes_back(pair):
    """Each reader, on its own connection, sees what it saw or newer."""
    pair.larder.once("SET", "k", 0)
    with pair.larder.conn() as conn, Readers(pair.larder, "k") as readers:
        for _ in range(150):
            conn.pipeline([("INCR", "k")] * 10)
    for numbers in readers.numbers():
        assert numbers == sorted(numbers)


def test_a_counter_at_l2_never_goes_back(pair):
    pair.l2.once("SET", "k", 0)
    with pair.l2.conn() as direct, Readers(pair.larder, "k") as readers:
        for _ in range(150):
            direct.pipeline([("INCR", "k")] * 10)
        poll(lambda: pair.larder.once("GET", "k") == b"1500")
    for numbers in readers.numbers():
        assert numbers == sorted(numbers)


def test_other_clients_see_a_write_that_has_returned(pair):
    with pair.larder.conn() as one, pair.larder.conn(3) as two:
        for i in range(300):
            one("SET", "k", i)
            assert two("GET", "k") == b"%d" % i
            two("SET", "k", f"again {i}")
            assert one("GET", "k") == b"again %d" % i


def test_writes_reach_l2_before_their_reply(pair):
    with pair.l2.conn() as direct, pair.larder.conn() as conn:
        for i in range(100):
            conn("SET", "k", i)
            assert direct("GET", "k") == b"%d" % i


def test_hits_and_writes_in_flight_keep_their_order(pair):
    """A hit behind a slow write waits for its turn."""
    slow = "local n = 0 for i = 1, 2000000 do n = n + i end return redis.call('set', KEYS[1], 'b')"
    with pair.larder.conn() as conn:
        conn.pipeline([("SET", "k", "a"), ("SET", "h", "hit"), ("GET", "k"), ("GET", "h")])
        assert conn.pipeline([("EVAL", slow, 1, "k"), ("GET", "h"), ("GET", "k"), ("PING",),
                              ("ECHO", "e")]) == [OK, b"hit", b"b", b"PONG", b"e"]


def test_two_keys_written_together_are_read_together(pair):
    """MSET is one step at L2, also for who reads both through L1 one write later."""
    with pair.larder.conn() as conn:
        for i in range(200):
            assert conn.pipeline([("MSET", "a", i, "b", i), ("MGET", "a", "b")]) == \
                [OK, [b"%d" % i] * 2]


def test_a_refused_write_changes_nothing(pair):
    with pair.larder.conn() as conn:
        conn("SET", "k", "text")
        assert conn("GET", "k") == b"text"
        assert conn("INCR", "k").startswith(b"ERR value is not an integer")
        assert conn("GET", "k") == b"text"
        assert conn("SET", "k", "new", "NX") is NIL
        assert conn("GET", "k") == b"text"
        assert conn("LPUSH", "k", "x").startswith(b"WRONGTYPE")
        assert conn("GET", "k") == b"text"


def test_l2_out_of_memory(new_redis, new_larder):
    """Writes fail in L2's own words, reads go on."""
    l2 = new_redis("--maxmemory-policy", "noeviction")
    larder = new_larder(l2)
    with larder.conn() as conn, l2.conn() as direct:
        conn("SET", "k", "v")
        assert conn("GET", "k") == b"v"
        direct("CONFIG", "SET", "maxmemory", "1")
        assert conn("SET", "k", "new").startswith(b"OOM command not allowed")
        assert conn("GET", "k") == b"v"
        assert conn("GET", "other") is NIL
        direct("CONFIG", "SET", "maxmemory", "0")
        assert conn("SET", "k", "new") == OK
        assert conn("GET", "k") == b"new"
