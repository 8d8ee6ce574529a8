"""Noise from a seed: pure, and commands with flipped bytes. Redis and larder say the same."""

import random
import socket

import pytest

from support.resp import Closed, Conn, encode

SEEDS = range(60)
WORDS = [b"a", b"b", b"key", b"value", b"", b"10", b"-1", b"\r\n", b"\0", b"\xff" * 5, b"x" * 300]


def conversation(address, data):
    """All that comes for the input until the server has closed; the input ends by a half-close."""
    with Conn(address, deadline=10) as conn:
        conn("FLUSHALL")
        try:
            conn.send(data)
            conn.sock.shutdown(socket.SHUT_WR)
        except (Closed, OSError):
            pass
        return conn.until_closed()


def commands(rng):
    """A pipeline of commands on few keys, mostly good."""
    out = []
    for _ in range(rng.randrange(1, 12)):
        name = rng.choice((b"SET", b"GET", b"MGET", b"APPEND", b"INCR", b"DEL", b"EXISTS", b"ECHO",
                           b"STRLEN", b"GETRANGE", b"PING", b"TTL", b"SETNX", b"NOSUCH"))
        args = [rng.choice(WORDS) for _ in range(rng.randrange(0, 4))]
        out.append(encode(name, *args))
    return b"".join(out)


def flip(rng, data):
    data = bytearray(data)
    for _ in range(rng.randrange(0, 4)):
        at = rng.randrange(len(data))
        kind = rng.randrange(4)
        if kind == 0:
            data[at] = rng.choice(b"*$0123456789-\r\n \0\xff")
        elif kind == 1:
            del data[at:at + rng.randrange(1, 5)]
        elif kind == 2:
            data[at:at] = bytes(rng.choice(b"*$19-\r\n") for _ in range(rng.randrange(1, 4)))
        else:
            data[at] ^= 1 << rng.randrange(8)
        if not data:
            break
    return bytes(data)


@pytest.mark.parametrize("seed", SEEDS)
def test_flipped_bytes(seed, redis_session, larder):
    rng = random.Random(seed)
    for _ in range(8):
        data = flip(rng, commands(rng))
        assert conversation(larder.address, data) == conversation(redis_session.address, data), data


@pytest.mark.parametrize("seed", SEEDS)
def test_binary_noise(seed, redis_session, larder):
    rng = random.Random(seed)
    for size in (1, 10, 1000, 20000):
        data = rng.randbytes(size)
        if seed % 3:
            data = data.replace(b"\0", b"\n")      # else all stops at the first NUL
        if seed % 2:
            data = bytes(b if b > 31 else 10 for b in data)     # many short lines
        assert conversation(larder.address, data) == conversation(redis_session.address, data)
    assert larder.once("PING") == b"PONG"


def test_a_half_close_still_gets_its_replies(pair):
    """What was sent before the client's end of stream is answered, then the connection ends."""
    data = b"".join(encode("SET", f"k{i}", i) + encode("GET", f"k{i}") for i in range(500))
    expected = b"".join(b"+OK\r\n" + b"$%d\r\n%d\r\n" % (len(str(i)), i) for i in range(500))
    assert conversation(pair.l2.address, data) == expected
    assert conversation(pair.larder.address, data) == expected
