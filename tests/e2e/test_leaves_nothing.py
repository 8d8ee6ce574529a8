"""Ten thousand clients come, do what takes state and links of their own, and leave in every way
there is. Nothing of them is left: no client, reply, link, watch, subscription, descriptor or byte.

LARDER_VISITORS=1000000 in the environment makes it a long run.
"""

import os
import selectors
import socket
import struct
import time
from collections import deque

import pytest

from support.resp import Error, Incomplete, encode, parse, poll
from support.stats import info

VISITORS = int(os.environ.get("LARDER_VISITORS", "10000"))
WARM_UP = 2000      # before anything is counted: buffers and tables take their sizes
AT_ONCE = 300       # clients at a time; each may have a link, so three descriptors
LINGERING = 60      # of these, clients that stay blocked for a while before they leave
KEPT_LINKS = 16     # that larder keeps for the next clients that need one
PATIENCE = 30       # seconds without any progress
LEAK_BYTES = 16384  # after all clients together: 8 bytes of one client in five are seen

WAITS, LINGERS, HEARS_NOTHING = "waits for its replies", "lingers", "waits for no reply"

# What a client does: commands, the number of their replies, how many of these are errors.
MULTIS = [
    lambda me: ([("MULTI",), ("SET", f"k:{me}", me, "PX", 60000), ("INCR", "shared"), ("EXEC",)],
                4, 0),
    lambda me: ([("MULTI",), ("GET", f"k:{me}"), ("PING",), ("DISCARD",)], 4, 0),
    lambda me: ([("WATCH", f"k:{me}", "shared"), ("GET", "shared"), ("MULTI",),
                 ("SET", f"k:{me}", me, "PX", 60000), ("EXEC",)], 5, 0),
    lambda me: ([("MULTI",), ("SET", "k"), ("GET", "k"), ("EXEC",)], 4, 2),
    lambda me: ([("WATCH", "shared"), ("UNWATCH",), ("MULTI",), ("PUBLISH", "none", me),
                 ("CLIENT", "ID"), ("EXEC",)], 6, 0),
    lambda me: ([("WATCH", "shared"), ("MULTI",), ("DISCARD",), ("EVAL", "return 1", 0)], 4, 0),
]
BLOCKS = [
    lambda me: ([("BLPOP", f"none:{me}", "0.01")], 1, 0),
    lambda me: ([("BZPOPMIN", f"none:{me}", "no", "0.005"), ("GET", "shared")], 2, 0),
    lambda me: ([("RPUSH", f"q:{me}", me), ("BLPOP", f"q:{me}", 10)], 2, 0),
    lambda me: ([("BLPOP", "shared", 10)], 1, 1),
    lambda me: ([("XREAD", "BLOCK", 10, "STREAMS", f"none:{me}", "$")], 1, 0),
]
LISTENS = [
    lambda me: ([("SUBSCRIBE", f"c:{me}", "news"), ("UNSUBSCRIBE",)], 4, 0),
    lambda me: ([("PSUBSCRIBE", f"p:{me}:*", "n?ws"), ("PUNSUBSCRIBE", f"p:{me}:*", "n?ws")], 4, 0),
    lambda me: ([("SSUBSCRIBE", f"c:{me}"), ("SUNSUBSCRIBE",)], 2, 0),
    lambda me: ([("SUBSCRIBE", f"c:{me}", f"c:{me}"), ("PSUBSCRIBE", "x"), ("RESET",)], 4, 0),
    lambda me: ([("HELLO", 3), ("SUBSCRIBE", f"c:{me}"), ("PUBLISH", f"c:{me}", "hi"),
                 ("UNSUBSCRIBE", f"c:{me}"), ("HELLO", 2)], 6, 0),
]
# What it does last and leaves undone: commands, the number of replies that it waits for, and how.
ENDS = [
    lambda me: ([], 0, WAITS),
    lambda me: ([("QUIT",)], 1, WAITS),
    lambda me: ([("MULTI",), ("SET", f"k:{me}", "never")], 2, WAITS),
    lambda me: ([("SUBSCRIBE", f"c:{me}", "news"), ("PSUBSCRIBE", "n*")], 3, WAITS),
    lambda me: ([("WATCH", f"k:{me}", "shared")], 1, WAITS),
    lambda me: ([("WATCH", "shared"), ("MULTI",), ("INCR", "shared")], 3, WAITS),
    lambda me: ([("BLPOP", f"none:{me}", "never", 0), ("SET", "never", 1)], 0, LINGERS),
    lambda me: ([("BLPOP", f"none:{me}", 0)], 0, WAITS),
    lambda me: ([("HELLO", 3), ("SSUBSCRIBE", f"c:{me}"), ("WATCH", f"k:{me}"),
                 ("XREAD", "BLOCK", 0, "STREAMS", "never", "$")], 3, LINGERS),
    lambda me: ([("SUBSCRIBE", f"c:{me}"), ("PING",)], 0, HEARS_NOTHING),
    lambda me: ([("BLPOP", f"none:{me}", 0)], 0, HEARS_NOTHING),
    lambda me: ([("HELLO", 3), ("CLIENT", "TRACKING", "ON"), ("GET", f"k:{me}"),
                 ("HGETALL", f"h:{me}")], 4, WAITS),
]
# Not served by L1 alone.
OF_L2 = {"WATCH", "BLPOP", "BZPOPMIN", "RPUSH", "XREAD", "EVAL", "HGETALL"}

FIGURES = ("connected_clients", "blocked_clients", "tracking_clients", "tracking_total_keys",
           "pubsub_channels", "pubsub_patterns", "pubsubshard_channels", "reply_slots", "l1_size",
           "l1_dead_size", "l2_fetches_in_flight", "l2_inflight", "l2_pinned_in_use",
           "l2_pinned_idle")
OF_WHO_ASKS = {"connected_clients": "1", "l2_pinned_idle": f"{KEPT_LINKS}",
               "connected_clients at L2": f"{KEPT_LINKS + 2}", "tracking_clients at L2": "1"}
LINKS = ["flags=N sub=0 psub=0 multi=-1"] * KEPT_LINKS + ["flags=t sub=0 psub=0 multi=-1"]


class Acts:
    """The acts of clients, by the client's number."""

    def __init__(self, with_l2):
        def usable(acts):
            return [a for a in acts if with_l2 or not OF_L2 & {c[0] for c in a(0)[0]}]
        self.acts = [kind for kind in map(usable, (MULTIS, BLOCKS, LISTENS)) if kind]
        self.ends = usable(ENDS)

    def of(self, me):
        """Commands, number of replies, of errors, and how it leaves: all acts, in any order."""
        parts = [kind[me // (i + 1) % len(kind)](me) for i, kind in enumerate(self.acts)]
        at = me % len(parts)
        parts = parts[at:] + parts[:at]
        last, n_last, how = self.ends[me // 3 % len(self.ends)](me)
        return ([c for part in parts for c in part[0]] + last,
                sum(part[1] for part in parts) + n_last, sum(part[2] for part in parts), how)


class Visitor:
    """One client: all that it says in one packet, and the replies that it waits for."""

    def __init__(self, server, acts, me):
        self.commands, self.n_replies, self.n_errors, self.how = acts.of(me)
        self.resets = me % 5 == 0       # leaves by RST
        self.got = []
        self.buf = bytearray()
        self.sock = socket.create_connection(server.address, PATIENCE)
        self.sock.sendall(b"".join(encode(*c) for c in self.commands))
        self.sock.setblocking(False)

    def read(self):
        """True when it has all that it waits for."""
        data = self.sock.recv(1 << 16)
        assert data, f"closed early: {self.commands} {self.got}"
        self.buf += data
        pos = 0
        while len(self.got) < self.n_replies:
            try:
                value, pos = parse(self.buf, pos)
            except Incomplete:
                break
            self.got.append(value)
        del self.buf[:pos]
        if len(self.got) < self.n_replies:
            return False
        n_errors = sum(isinstance(value, Error) for value in self.got)
        assert n_errors == self.n_errors, f"{self.commands} {self.got}"
        return True

    def leave(self):
        if self.resets:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


def blocked_at(server):
    with server.conn() as conn:
        return int(info(conn, "clients")["blocked_clients"])


def visit(server, numbers, l2):
    """Has a client come and go for each number, a bounded number of them at a time."""
    acts = Acts(l2 is not None)
    selector = selectors.DefaultSelector()
    coming, lingering, n_waiting = deque(numbers), deque(), 0
    while coming or n_waiting:
        while coming and n_waiting + len(lingering) < AT_ONCE:
            visitor = Visitor(server, acts, coming.popleft())
            if visitor.how == HEARS_NOTHING:
                visitor.leave()
                continue
            selector.register(visitor.sock, selectors.EVENT_READ, visitor)
            n_waiting += 1
        ready = selector.select(PATIENCE)
        assert ready or not n_waiting, f"{n_waiting} clients wait for replies in vain"
        for key, _ in ready:
            visitor = key.data
            if not visitor.read():
                continue
            selector.unregister(visitor.sock)
            n_waiting -= 1
            if visitor.how == LINGERS:
                lingering.append(visitor)
            else:
                visitor.leave()
        while len(lingering) > LINGERING:
            lingering.popleft().leave()
    selector.close()
    if l2:
        poll(lambda: blocked_at(l2) == len(lingering), PATIENCE, why="those who linger are blocked")
    for visitor in lingering:
        visitor.leave()


def fill_pool(larder, l2):
    """Has as many links made as larder keeps."""
    conns = [larder.conn() for _ in range(KEPT_LINKS + 4)]
    for conn in conns:
        conn.send(encode("BLPOP", "queue", 0))
    poll(lambda: blocked_at(l2) == len(conns), PATIENCE, why="they block")
    l2.once("RPUSH", "queue", *range(len(conns)))
    for conn in conns:
        assert conn.read().value[0] == b"queue"
        conn.close()


def links(l2):
    """What L2 has of larder: the state of each connection."""
    lines = l2.once("CLIENT", "LIST").decode().splitlines()
    fields = [dict(f.split("=", 1) for f in line.split()) for line in lines]
    return sorted(" ".join(f"{name}={f[name]}" for name in ("flags", "sub", "psub", "multi"))
                  for f in fields if f["name"] == "larder")


def figures(conn, suffix=""):
    got = info(conn, "everything")
    return {name + suffix: got[name] for name in FIGURES if name in got}


def left(conn, l2):
    """What there is that should not be; nothing, when all is well."""
    got = figures(conn)
    if l2:
        with l2.conn() as direct:
            got.update(figures(direct, " at L2"))
    faults = {name: value for name, value in got.items() if value != OF_WHO_ASKS.get(name, "0")}
    if l2 and links(l2) != LINKS:
        faults["links"] = links(l2)
    return faults


def settle(larder, l2):
    """Waits until nothing is left but what is kept. The number of descriptors, and the bytes that
    larder has allocated, but for L1's index; 0 where its allocator doesn't count."""
    with larder.conn() as conn:
        conn("FLUSHALL")        # a link that still watches a key shows it now, by flag d
        if l2:
            fill_pool(larder, l2)
        until = time.monotonic() + PATIENCE
        while left(conn, l2):   # the link of subscriptions stays for two seconds
            assert time.monotonic() < until, f"left behind: {left(conn, l2)}"
            time.sleep(0.1)
        memory = info(conn, "memory", "l1")
        n_files = len(os.listdir(f"/proc/{larder.pid}/fd"))
    exact = "jemalloc" in memory["mem_allocator"]
    n_bytes = int(memory["used_memory"]) - int(memory["l1_index_bytes"]) if exact else 0
    return n_files, n_bytes


def check(larder, l2):
    larder.once("SET", "shared", 0)
    visit(larder, range(WARM_UP), l2)
    files, memory = settle(larder, l2)
    larder.once("SET", "shared", 0)
    visit(larder, range(WARM_UP, WARM_UP + VISITORS), l2)
    files_now, memory_now = settle(larder, l2)
    assert files_now == files
    assert memory_now - memory < LEAK_BYTES, f"{memory} bytes, now {memory_now}"


# No slow log, which remembers commands; the allocator keeps nothing aside that is freed.
OPTIONS = ("--slowlog-max-len", "0")
EXACT = {"MALLOC_CONF": "tcache:false"}


def test_nothing_is_left(new_redis, new_larder):
    l2 = new_redis()
    check(new_larder(l2, *OPTIONS, env=EXACT), l2)


def test_nothing_is_left_alone(new_larder):
    check(new_larder(None, *OPTIONS, env=EXACT), None)


@pytest.mark.direct
def test_they_visit_redis(new_redis):
    """The test itself, against redis-server."""
    redis = new_redis()
    redis.once("SET", "shared", 0)
    visit(redis, range(WARM_UP), redis)
    poll(lambda: blocked_at(redis) == 0, PATIENCE)
