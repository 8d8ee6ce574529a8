"""Many clients at once: no reply is lost, none reaches another client, and others aren't slowed."""

import selectors
import socket
import time

import pytest

from support.resp import Incomplete, encode, parse

IDLE = 1000
BUSY = 100
ROUNDS = 15
DEADLINE = 90


class Busy:
    """A client that sends pipelines with tokens of its own and checks each reply in order."""

    def __init__(self, server, number, lists):
        self.number = number
        self.lists = lists
        self.sock = socket.create_connection(server.address, 10)
        self.sock.setblocking(False)
        self.buf = bytearray()
        self.out = b""
        self.expected = []
        self.round = 0
        self.replies = 0

    def next_round(self):
        """False after the last one."""
        if self.round == ROUNDS:
            return False
        self.round += 1
        commands = []
        for i in range(10):
            token = f"{self.number}:{self.round}:{i}"
            mine, shared = f"key:{self.number}:{i}", f"shared:{i}"
            commands += [("SET", mine, token), ("GET", mine), ("ECHO", token),
                         ("MGET", mine, "never"), ("SET", shared, token), ("EXISTS", shared),
                         ("STRLEN", "never"), ("GET", "never")]
            self.expected += [b"OK", token.encode(), token.encode(), [token.encode(), None], b"OK",
                              1, 0, None]
            if self.lists:
                commands.append(("LRANGE", f"list:{self.number}", 0, 0))
                self.expected.append([])
        self.out = b"".join(encode(*c) for c in commands)
        return True

    def write(self):
        self.out = self.out[self.sock.send(self.out):]

    def read(self):
        data = self.sock.recv(1 << 18)
        assert data, f"client {self.number} was closed"
        self.buf += data
        pos = 0
        while True:
            try:
                value, pos = parse(self.buf, pos)
            except Incomplete:
                break
            assert self.expected, f"client {self.number}: a reply too many: {value!r}"
            want = self.expected.pop(0)
            assert value == want, f"client {self.number}: {value!r}, expected {want!r}"
            self.replies += 1
        del self.buf[:pos]


def drive(clients):
    """Runs all clients to the end of their rounds."""
    selector = selectors.DefaultSelector()
    for client in clients:
        client.next_round()
        selector.register(client.sock, selectors.EVENT_READ | selectors.EVENT_WRITE, client)
    left, until = len(clients), time.monotonic() + DEADLINE
    while left:
        assert time.monotonic() < until, f"{left} clients still wait for replies"
        for key, events in selector.select(1):
            client = key.data
            if events & selectors.EVENT_WRITE and client.out:
                client.write()
                if not client.out:
                    selector.modify(client.sock, selectors.EVENT_READ, client)
            if events & selectors.EVENT_READ:
                client.read()
            if not client.expected and not client.out:
                if client.next_round():
                    selector.modify(client.sock, selectors.EVENT_READ | selectors.EVENT_WRITE,
                                    client)
                else:
                    selector.unregister(client.sock)
                    left -= 1


def crowd(server, lists=True):
    idle = [socket.create_connection(server.address, 10) for _ in range(IDLE)]
    clients = [Busy(server, i, lists) for i in range(BUSY)]
    try:
        drive(clients)
        assert [c.replies for c in clients] == [ROUNDS * (90 if lists else 80)] * BUSY
        for number in (0, IDLE // 2, IDLE - 1):
            idle[number].sendall(b"PING\r\n")
            assert idle[number].recv(100) == b"+PONG\r\n"
        for sock in idle:
            sock.setblocking(False)
            try:
                assert sock.recv(1) is None, "an idle client got something or was closed"
            except BlockingIOError:
                pass
    finally:
        for sock in idle + [c.sock for c in clients]:
            sock.close()


def test_a_thousand_idle_and_a_hundred_busy(pair):
    crowd(pair.larder)


def test_the_same_with_a_tiny_l1(new_redis, new_larder):
    """Evictions, single flight and doomed fills under the same crowd."""
    crowd(new_larder(new_redis(), "--maxmemory", "1mb"))


def test_the_same_alone(new_larder):
    """Without lists, which need an L2."""
    crowd(new_larder(), lists=False)


@pytest.mark.direct
def test_the_crowd_works_directly(new_redis):
    """The test itself, against redis-server."""
    crowd(new_redis())


def test_connections_come_and_go(larder):
    """Two thousand short connections, and the server is as before."""
    for i in range(2000):
        with socket.create_connection(larder.address, 10) as sock:
            if i % 4 == 0:
                sock.sendall(b"PING\r\n")
                assert sock.recv(100) == b"+PONG\r\n"
    until = time.monotonic() + 10
    with larder.conn() as conn:
        while conn("CLIENT", "LIST").count(b"\n") > 1 and time.monotonic() < until:
            time.sleep(0.01)
        assert conn("CLIENT", "LIST").count(b"\n") == 1

