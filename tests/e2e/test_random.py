"""Random commands from a seed, on few keys, by two clients in turn: Redis and larder say the same.

Finds what no row thought of: orders of writes and reads in which L1 would keep something old.
"""

import random

import pytest

from support.resp import encode
from support.table import Near, Same

SEEDS = range(40)
ROUNDS = 25
KEYS = ["a", "b", "c", ""]
VALUES = ["1", "-7", "text", "", "3.5", "9223372036854775807", "x" * 200, b"\0\r\n\xff"]
NUMBERS = [0, 1, -1, 5, 100, -100, 3, "x", "9223372036854775807", ""]
FAR = {"EX": 1000, "PX": 1000000, "EXAT": 9999999999, "PXAT": 9999999999000}
TIMES = {b"TTL": Near(1), b"PTTL": Near(2000), b"EXPIRETIME": Near(1), b"PEXPIRETIME": Near(2000)}


def key(rng):
    return rng.choice(KEYS)


def deadline(rng):
    name = rng.choice(list(FAR))
    return [name, rng.choice((FAR[name], FAR[name], FAR[name], 0, "x"))]


def set_command(rng):
    words = ["SET", key(rng), rng.choice(VALUES)]
    for option in (["NX"], ["XX"], ["GET"], ["KEEPTTL"], deadline(rng)):
        if rng.random() < 0.15:
            words += option
    return words


def expire(rng):
    name, far = rng.choice((("EXPIRE", 1000), ("PEXPIRE", 1000000), ("EXPIREAT", 9999999999),
                            ("PEXPIREAT", 9999999999000)))
    words = [name, key(rng), rng.choice((far, far, 2 * far, -1))]
    return words + ([rng.choice(("NX", "XX", "GT", "LT"))] if rng.random() < 0.4 else [])


# How often, and what: strings and keys, which L1 serves alone; and what needs an L2.
STRINGS = [
    (12, lambda r: ["GET", key(r)]), (6, lambda r: ["MGET", key(r), key(r), key(r)]),
    (8, set_command), (3, lambda r: ["DEL", key(r)]), (2, lambda r: ["UNLINK", key(r), key(r)]),
    (3, lambda r: ["INCR", key(r)]), (2, lambda r: ["INCRBY", key(r), r.choice(NUMBERS)]),
    (1, lambda r: ["DECRBY", key(r), r.choice(NUMBERS)]),
    (2, lambda r: ["APPEND", key(r), r.choice(VALUES)]), (2, lambda r: ["STRLEN", key(r)]),
    (2, lambda r: ["GETRANGE", key(r), r.choice(NUMBERS), r.choice(NUMBERS)]),
    (1, lambda r: ["SETRANGE", key(r), r.choice((0, 1, 5, -1)), r.choice(VALUES)]),
    (2, lambda r: ["EXISTS", key(r), key(r)]), (2, lambda r: ["TYPE", key(r)]),
    (3, lambda r: [r.choice(("TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME")), key(r)]),
    (4, expire), (2, lambda r: ["PERSIST", key(r)]), (1, lambda r: ["GETSET", key(r), "s"]),
    (1, lambda r: ["GETDEL", key(r)]), (1, lambda r: ["SETNX", key(r), "n"]),
    (2, lambda r: ["GETEX", key(r)] + (deadline(r) if r.random() < 0.5 else ["PERSIST"])),
    (1, lambda r: ["MSET", key(r), 1, key(r), 2]), (1, lambda r: ["MSETNX", key(r), 1, key(r), 2]),
    (1, lambda r: ["RENAME", key(r), key(r)]), (1, lambda r: ["RENAMENX", key(r), key(r)]),
    (1, lambda r: ["COPY", key(r), key(r), "REPLACE"]),
    (1, lambda r: ["COPY", key(r), key(r), "DB", r.randrange(3)]),
    (1, lambda r: ["MOVE", key(r), r.randrange(3)]), (1, lambda r: ["SELECT", r.randrange(3)]),
    (1, lambda r: ["SETBIT", key(r), 3, 1]), (1, lambda r: ["DBSIZE"]), (1, lambda r: ["PING"]),
    (0.3, lambda r: ["FLUSHDB"]), (0.2, lambda r: ["FLUSHALL"]),
    (0.3, lambda r: ["SWAPDB", r.randrange(3), r.randrange(3)]),
    (1, lambda r: ["OBJECT", "ENCODING", key(r)]), (1, lambda r: ["TOUCH", key(r), key(r)]),
    (1, lambda r: ["INCRBYFLOAT", key(r), r.choice(("0.5", "-1", "x"))]),
]
OTHERS = STRINGS + [
    (2, lambda r: ["LPUSH", key(r), "l"]), (1, lambda r: ["LPOP", key(r)]),
    (1, lambda r: ["LRANGE", key(r), 0, -1]), (1, lambda r: ["HSET", key(r), "f", "v"]),
    (1, lambda r: ["HGETALL", key(r)]), (1, lambda r: ["HDEL", key(r), "f"]),
    (1, lambda r: ["ZADD", key(r), "1.5", "m"]), (1, lambda r: ["ZSCORE", key(r), "m"]),
    (1, lambda r: ["EVAL", "return redis.call('set', KEYS[1], ARGV[1])", 1, key(r), "e"]),
    (1, lambda r: ["EVAL", "return redis.call('get', KEYS[1])", 1, key(r)]),
    (1, lambda r: ["EVAL", "return redis.call('del', 'a')", 0]),
    (1, lambda r: ["SORT", key(r), "ALPHA", "STORE", key(r)]),
    (1, lambda r: ["BITOP", "OR", key(r), key(r), key(r)]), (1, lambda r: ["DUMP", key(r)]),
    (1, lambda r: ["PFADD", key(r), "x"]), (1, lambda r: ["SINTERSTORE", key(r), key(r)]),
]


def pipelines(rng, grammar):
    """(client, its commands) in turn."""
    weights = [w for w, _ in grammar]
    for _ in range(ROUNDS):
        makers = rng.choices([m for _, m in grammar], weights, k=rng.choice((1, 1, 2, 5, 20)))
        yield rng.randrange(2), [m(rng) for m in makers]


def compare(seed, grammar, direct, larder):
    """Both servers run the same; the first difference fails, with what led to it."""
    history = []
    with direct.conn(2) as d2, direct.conn(3) as d3, larder.conn(2) as l2, larder.conn(3) as l3:
        assert d2("FLUSHALL") == l2("FLUSHALL") == b"OK"
        for client, commands in pipelines(random.Random(seed), grammar):
            data = b"".join(encode(*c) for c in commands)
            pair = ((d2, l2), (d3, l3))[client]
            for conn in pair:
                conn.send(data)
            for command in commands:
                history.append((client, command))
                want, got = pair[0].read(), pair[1].read()
                rule = TIMES.get(str(command[0]).encode(), Same())
                wrong = rule.differ(want, got)
                assert not wrong, f"seed {seed}: {wrong}\nafter {history[-15:]}"


@pytest.mark.parametrize("seed", SEEDS)
def test_through_larder(seed, redis_session, larder):
    compare(seed, OTHERS, redis_session, larder)


@pytest.mark.parametrize("seed", SEEDS)
def test_alone(seed, redis_session, alone):
    compare(seed, STRINGS, redis_session, alone.larder)


@pytest.mark.direct
def test_the_generator_is_deterministic(redis_session, new_redis):
    compare(1, OTHERS, redis_session, new_redis())
