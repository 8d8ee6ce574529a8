"""Clients that don't read their replies: bounded memory, and others are unharmed."""

import os
import selectors
import socket
import time

import pytest

from support.resp import NIL, OK, encode, poll
from support.stats import info

MB = 1 << 20
LIMIT = "normal 16mb 8mb 5"


def flood(server, data, total, stall=1.0, deadline=40.0):
    """Sends data over and over without reading. Returns (bytes sent, "closed" | "stalled" | "all",
    highest resident memory seen)."""
    sock = socket.create_connection(server.address, 10)
    sock.setblocking(False)
    selector = selectors.DefaultSelector()
    selector.register(sock, selectors.EVENT_WRITE)
    sent, offset, peak, end = 0, 0, 0, "all"
    last, until = time.monotonic(), time.monotonic() + deadline
    view = memoryview(data)
    while sent < total:
        now = time.monotonic()
        assert now < until, f"only {sent} bytes in {deadline} s"
        if selector.select(0.05):
            try:
                count = sock.send(view[offset:])
            except (BrokenPipeError, ConnectionResetError):
                end = "closed"
                break
            except BlockingIOError:
                count = 0
            if count:
                sent, offset, last = sent + count, (offset + count) % len(data), now
        if now - last > stall:
            end = "stalled"
            break
        peak = max(peak, server.memory())
    peak = max(peak, server.memory())
    return sock, sent, end, peak


def still_serves(larder):
    with larder.conn() as conn:     # each within its deadline
        assert conn("PING") == b"PONG"
        assert conn("SET", "other", "v") == OK
        assert conn("GET", "other") == b"v"


@pytest.fixture
def tight(new_redis, new_larder):
    """A larder with a small L1 and a small output limit. (AddressSanitizer, where it was built in,
    must not hold on to freed memory, which would be counted as larder's.)"""
    env = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1"}
    return new_larder(new_redis(), "--maxmemory", "16mb", "--client-output-buffer-limit", LIMIT,
                      env=env)


def test_pipelined_sets_without_reading(tight):
    """200 MB of SETs: 1 kB values, so that their replies are small, but nobody reads them."""
    data = b"".join(encode("SET", f"key:{i}", b"x" * 1000) for i in range(1000))
    before = tight.memory()
    sock, sent, end, peak = flood(tight, data, 200 * MB)
    try:
        assert peak - before < 128 * MB, f"{(peak - before) / MB:.0f} MB more after {sent} bytes"
        still_serves(tight)
    finally:
        sock.close()
    assert end in ("all", "stalled", "closed")


def test_tiny_sets_without_reading(tight):
    """Commands hardly longer than their replies: the output grows as the input does."""
    data = encode("SET", "k", "v") * 5000
    before = tight.memory()
    sock, sent, end, peak = flood(tight, data, 40 * MB)
    try:
        assert peak - before < 128 * MB, f"{(peak - before) / MB:.0f} MB more after {sent} bytes"
        still_serves(tight)
    finally:
        sock.close()
    assert end in ("all", "stalled", "closed")


@pytest.mark.parametrize("kind", ("hits", "misses", "passed"))
def test_pipelined_reads_without_reading(kind, tight):
    """20,000 replies of 10 kB, 200 MB in all: they can't all be kept, so it stalls or is closed."""
    with tight.conn() as conn:
        conn("SET", "k", b"x" * 10000)
        conn("RPUSH", "l", b"x" * 10000)
        conn("MSET", *[w for i in range(500) for w in (f"m{i}", b"x" * 10000)])
        if kind == "hits":
            conn("GET", "k")
        else:
            conn("CACHE", "FLUSH")
    data = {"hits": encode("GET", "k") * 1000,
            "misses": b"".join(encode("GET", f"m{i}") for i in range(500)),
            "passed": encode("LRANGE", "l", 0, -1) * 1000}[kind]
    before = tight.memory()
    sock, sent, end, peak = flood(tight, data, 40 * MB)
    try:
        assert end in ("stalled", "closed"), f"{sent} bytes taken and every reply kept"
        assert peak - before < 128 * MB, f"{(peak - before) / MB:.0f} MB more after {sent} bytes"
        still_serves(tight)
    finally:
        sock.close()
    poll(lambda: tight.once("CLIENT", "LIST").count(b"\n") == 1, 5.0)


def test_one_reply_above_the_limit_closes(new_redis, new_larder):
    """A reply that is larger than the hard limit can't be delivered: closed, as Redis does."""
    larder = new_larder(new_redis(), "--client-output-buffer-limit", "normal 1mb 0 0")
    with larder.conn() as conn:
        conn("SET", "k", b"x" * 100)
        conn("SET", "big", b"x" * (3 * MB))
    with larder.conn() as conn:
        conn.send(encode("GET", "big") * 8)
        rest = conn.until_closed(10.0)
        assert len(rest) < 8 * 3 * MB
    with larder.conn() as conn:
        assert conn("GET", "k") == b"x" * 100
        assert conn("GET", "nothing") is NIL


def test_the_soft_limit_closes_after_its_time(new_redis, new_larder):
    larder = new_larder(new_redis(), "--client-output-buffer-limit", "normal 0 1mb 1")
    with larder.conn() as conn:
        conn("SET", "k", b"x" * 100000)
        conn("GET", "k")
    sock = socket.create_connection(larder.address, 10)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.sendall(encode("GET", "k") * 400)
    with larder.conn() as conn:
        poll(lambda: conn("CLIENT", "LIST").count(b"\n") == 1, 10.0,
             why="the client above its soft limit is closed")
    sock.close()


def test_who_reads_slowly_gets_everything(larder):
    """Back-pressure is no loss: a client that reads late gets every reply, in order."""
    with larder.conn(deadline=30) as conn:
        conn("SET", "k", b"x" * 10000)
        conn.sock.settimeout(0.3)
        data = b"".join(encode("GET", "k") + encode("ECHO", f"token {i}") for i in range(2000))
        sent = 0
        try:
            while sent < len(data):
                sent += conn.sock.send(data[sent:sent + 65536])
        except socket.timeout:
            pass
        got = 0
        while got < 2000:
            if sent < len(data):
                try:
                    conn.sock.settimeout(0.001)
                    sent += conn.sock.send(data[sent:sent + 65536])
                except socket.timeout:
                    pass
            assert conn.read().value == b"x" * 10000
            assert conn.read().value == b"token %d" % got
            got += 1


def test_closed_clients_are_counted(tight):
    with tight.conn() as conn:
        conn("SET", "k", b"x" * 100000)
        conn("GET", "k")
        sock, _, end, _ = flood(tight, encode("GET", "k") * 1000, 20 * MB)
        sock.close()
        closed = int(info(conn, "everything")["clients_closed_output"])
        assert closed >= (end == "closed")
