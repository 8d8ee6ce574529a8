"""Changes made at L2 by others: seen through larder as soon as the invalidation has come."""

import pytest

from support.resp import NIL, poll

CHANGES = {
    "SET": ([("SET", "k", "new")], b"new"),
    "SET with the same value": ([("SET", "k", "old")], b"old"),
    "DEL": ([("DEL", "k")], NIL),
    "UNLINK": ([("UNLINK", "k")], NIL),
    "APPEND": ([("APPEND", "k", "er")], b"older"),
    "SETRANGE": ([("SETRANGE", "k", 0, "O")], b"Old"),
    "GETSET": ([("GETSET", "k", "new")], b"new"),
    "GETDEL": ([("GETDEL", "k")], NIL),
    "INCR": ([("SET", "k", 5), ("INCR", "k")], b"6"),
    "RENAME away": ([("RENAME", "k", "other")], NIL),
    "RENAME over": ([("SET", "other", "new"), ("RENAME", "other", "k")], b"new"),
    "COPY over": ([("SET", "other", "new"), ("COPY", "other", "k", "REPLACE")], b"new"),
    "MOVE": ([("MOVE", "k", 9)], NIL),
    "MSET": ([("MSET", "a", 1, "k", "new")], b"new"),
    "EXPIRE into the past": ([("EXPIRE", "k", -1)], NIL),
    "FLUSHDB": ([("FLUSHDB",)], NIL),
    "FLUSHALL": ([("FLUSHALL",)], NIL),
    "BITOP": ([("BITOP", "NOT", "k", "missing")], NIL),
    "SETBIT": ([("SETBIT", "k", 7, 0)], b"nld"),
    "a script": ([("EVAL", "return redis.call('set', 'k', 'new')", 0)], b"new"),
    "a transaction": ([("MULTI",), ("SET", "k", "new"), ("EXEC",)], b"new"),
    "SORT STORE": ([("SORT", "missing", "STORE", "k")], NIL),
}


@pytest.mark.parametrize("proto", (2, 3))
@pytest.mark.parametrize("name", CHANGES)
def test_a_direct_change_is_seen(name, proto, pair):
    commands, expected = CHANGES[name]
    with pair.l2.conn() as direct, pair.larder.conn(proto) as conn:
        direct("SET", "k", "old")
        assert conn("GET", "k") == b"old"
        assert conn("GET", "k") == b"old"
        for command in commands:
            direct(*command)
        poll(lambda: conn("GET", "k") == expected)
        assert conn("GET", "k") == expected


def test_an_absent_key_that_appears(pair):
    with pair.l2.conn() as direct, pair.larder.conn() as conn:
        for command in (("SET", "k", "v"), ("SETEX", "k", 100, "v"), ("APPEND", "k", "v"),
                        ("GETSET", "k", "v"), ("MSET", "k", "v")):
            direct("DEL", "k")
            poll(lambda: conn("GET", "k") is NIL)
            assert conn("GET", "k") is NIL
            direct(*command)
            poll(lambda: conn("GET", "k") == b"v")


def test_two_hundred_changes_one_after_another(pair):
    with pair.l2.conn() as direct, pair.larder.conn() as conn:
        for i in range(200):
            value = b"%d" % i
            direct("SET", "k", value)
            poll(lambda: conn("GET", "k") == value, every=0)
            assert conn("GET", "k") == value


def test_a_change_of_many_keys(pair):
    names = [f"k{i}" for i in range(500)]
    with pair.l2.conn() as direct, pair.larder.conn() as conn:
        direct("MSET", *[w for n in names for w in (n, "old")])
        assert conn("MGET", *names) == [b"old"] * 500
        direct("MSET", *[w for n in names for w in (n, "new")])
        poll(lambda: conn("MGET", *names) == [b"new"] * 500)


@pytest.mark.parametrize("flush", ("FLUSHALL", "FLUSHDB", "FLUSHALL ASYNC"))
def test_a_flush_empties_l1(flush, pair):
    names = [f"k{i}" for i in range(100)]
    with pair.l2.conn() as direct, pair.larder.conn() as conn:
        direct("MSET", *[w for n in names for w in (n, "v")])
        assert conn("MGET", *names) == [b"v"] * 100
        direct(*flush.split())
        poll(lambda: conn("MGET", *names) == [NIL] * 100)


def test_a_push_is_one_shot_and_the_key_is_tracked_again(pair):
    """After an invalidation the key is read again, so the next change must push again."""
    with pair.l2.conn() as direct, pair.larder.conn() as conn:
        for value in (b"1", b"2", b"3", b"4"):
            direct("SET", "k", value)
            poll(lambda: conn("GET", "k") == value)
            for _ in range(3):
                assert conn("GET", "k") == value


def test_a_change_after_our_own_write(pair):
    """Our own SET isn't tracked by itself; what is read afterwards must be."""
    with pair.l2.conn() as direct, pair.larder.conn() as conn:
        for i in range(20):
            conn("SET", "k", "ours")
            assert conn("GET", "k") == b"ours"
            direct("SET", "k", f"theirs {i}")
            poll(lambda: conn("GET", "k") == b"theirs %d" % i)


def test_every_reader_sees_it(pair):
    with pair.l2.conn() as direct:
        conns = [pair.larder.conn(2 + i % 2) for i in range(10)]
        direct("SET", "k", "old")
        for conn in conns:
            assert conn("GET", "k") == b"old"
        direct("SET", "k", "new")
        poll(lambda: conns[0]("GET", "k") == b"new")
        for conn in conns:
            assert conn("GET", "k") == b"new"
            conn.close()


def test_two_larders_in_front_of_one_l2(new_redis, new_larder):
    l2 = new_redis()
    with new_larder(l2).conn() as one, new_larder(l2).conn() as two:
        for i in range(50):
            value = b"%d" % i
            one("SET", "k", value)
            assert one("GET", "k") == value
            poll(lambda: two("GET", "k") == value, every=0)
            assert two("INCRBY", "k", 1000) == i + 1000
            assert two("GET", "k") == b"%d" % (i + 1000)
            poll(lambda: one("GET", "k") == b"%d" % (i + 1000), every=0)


def test_eviction_at_l2_is_seen(new_redis, new_larder):
    """L2's own eviction pushes too: what it evicted isn't served."""
    l2 = new_redis("--maxmemory-policy", "allkeys-random")
    larder = new_larder(l2)
    with l2.conn() as direct, larder.conn() as conn:
        direct.pipeline(("SET", f"k{i}", "v" * 100) for i in range(1000))
        conn("MGET", *[f"k{i}" for i in range(1000)])
        direct("CONFIG", "SET", "maxmemory", "1")
        poll(lambda: direct("DBSIZE") == 0, 5.0)
        direct("CONFIG", "SET", "maxmemory", "0")
        poll(lambda: conn("MGET", *[f"k{i}" for i in range(1000)]) == [NIL] * 1000)
