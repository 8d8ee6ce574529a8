"""Reads: the first one reaches L2, the next ones don't, and L2's own counters prove it."""

import pytest

from support.resp import NIL, OK, poll
from support.stats import tier
from support.watch import Monitor, data_calls

READS = [(("GET", "k"), b"0123456789"), (("STRLEN", "k"), 10), (("GETRANGE", "k", 2, 4), b"234"),
         (("EXISTS", "k"), 1), (("TYPE", "k"), b"string"), (("MGET", "k"), [b"0123456789"]),
         (("TTL", "k"), -1), (("PTTL", "k"), -1), (("EXPIRETIME", "k"), -1)]


@pytest.mark.parametrize("proto", (2, 3))
def test_a_key_set_in_l2_comes_through(proto, pair):
    pair.l2.once("SET", "k", "value")
    with pair.larder.conn(proto) as conn:
        assert conn("GET", "k") == b"value"
        assert conn("GET", "k") == b"value"


def test_the_second_get_stays_here(pair):
    pair.l2.once("SET", "k", "value")
    with pair.larder.conn() as conn:
        before = pair.l2.calls("get")
        assert conn("GET", "k") == b"value"
        filled = data_calls(pair.l2)
        assert pair.l2.calls("get") == before + 1
        for _ in range(100):
            assert conn("GET", "k") == b"value"
    with pair.larder.conn(3) as other:
        assert other("GET", "k") == b"value"
    assert data_calls(pair.l2) == filled


@pytest.mark.parametrize("read,expected", READS, ids=lambda x: x[0] if isinstance(x, tuple) else "")
def test_reads_of_what_l1_holds_stay_here(read, expected, pair):
    pair.l2.once("SET", "k", "0123456789")
    with pair.larder.conn() as conn:
        conn("GET", "k")
        filled = data_calls(pair.l2)
        assert conn(*read) == expected
        assert conn(*read) == expected
    assert data_calls(pair.l2) == filled


@pytest.mark.parametrize("value", [b"", b"v", bytes(range(256)), b"x" * 100000])
def test_values_of_every_size(value, pair):
    pair.l2.once("SET", "k", value)
    with pair.larder.conn() as conn:
        assert conn("GET", "k") == value
        filled = data_calls(pair.l2)
        assert conn("GET", "k") == value
    assert data_calls(pair.l2) == filled


def test_absent_keys_are_kept_as_absent(pair):
    with pair.larder.conn() as conn:
        assert conn("GET", "nothing") is NIL
        filled = data_calls(pair.l2)
        for _ in range(10):
            assert conn("GET", "nothing") is NIL
            assert conn("EXISTS", "nothing") == 0
            assert conn("TTL", "nothing") == -2
            assert conn("STRLEN", "nothing") == 0
            assert conn("TYPE", "nothing") == b"none"
        assert data_calls(pair.l2) == filled
        pair.l2.once("SET", "nothing", "now something")
        poll(lambda: conn("GET", "nothing") == b"now something")


def test_mget_asks_only_for_the_misses(pair):
    with pair.l2.conn() as direct, pair.larder.conn() as conn, Monitor(pair.l2) as monitor:
        direct("MSET", "a", 1, "b", 2, "c", 3, "d", 4)
        conn("GET", "b")
        conn("GET", "missing")
        monitor.seen()
        names = ["a", "b", "c", "missing", "d"]
        expected = [b"1", b"2", b"3", NIL, b"4"]
        assert conn("MGET", *names) == expected
        asked = [w for _, words in monitor.seen() for w in words[1:]]
        assert {b"a", b"c", b"d"} <= set(asked), asked
        assert b"b" not in asked and b"missing" not in asked, asked
        assert conn("MGET", *names) == expected
        assert monitor.seen() == []


def test_mget_with_one_key_often(pair):
    pair.l2.once("SET", "a", "1")
    with pair.larder.conn() as conn:
        assert conn("MGET", "a", "x", "a", "x", "a") == [b"1", NIL, b"1", NIL, b"1"]
        filled = data_calls(pair.l2)
        assert conn("MGET", "x", "a", "a") == [NIL, b"1", b"1"]
    assert data_calls(pair.l2) == filled


def test_keys_of_other_types_are_never_answered_as_strings(pair):
    with pair.larder.conn() as conn:
        assert conn("GET", "k") is NIL
        pair.l2.once("RPUSH", "k", "a", "b")
        poll(lambda: conn("EXISTS", "k") == 1)
        assert conn("GET", "k").startswith(b"WRONGTYPE")
        assert conn("TYPE", "k") == b"list"
        assert conn("MGET", "k") == [NIL]
        assert conn("LRANGE", "k", 0, -1) == [b"a", b"b"]


def test_errors_are_not_kept(pair):
    with pair.larder.conn() as conn:
        conn("LPUSH", "k", "a")
        for _ in range(3):
            assert conn("GET", "k").startswith(b"WRONGTYPE")
        conn("DEL", "k")
        assert conn("SET", "k", "v") == OK
        assert conn("GET", "k") == b"v"


def test_own_writes_are_readable_and_then_hits(pair):
    with pair.larder.conn() as conn:
        assert conn("SET", "k", "v") == OK
        assert conn("GET", "k") == b"v"
        filled = data_calls(pair.l2)
        assert conn("GET", "k") == b"v"
        assert data_calls(pair.l2) == filled
    assert pair.l2.once("GET", "k") == b"v"


def test_without_l1_every_read_reaches_l2(new_redis, new_larder):
    l2 = new_redis()
    larder = new_larder(l2, "--l1-enabled", "no")
    l2.once("SET", "k", "v")
    with larder.conn() as conn:
        before = l2.calls("get")
        for _ in range(5):
            assert conn("GET", "k") == b"v"
    assert l2.calls("get") == before + 5


def test_the_cap_on_age(new_redis, new_larder):
    """With l1-ttl an entry is asked for again, though nothing changed at L2."""
    l2 = new_redis()
    larder = new_larder(l2, "--l1-ttl", "1")
    l2.once("SET", "k", "v")
    with larder.conn() as conn:
        assert conn("GET", "k") == b"v"
        assert conn("TTL", "k") == -1, "the cap is larder's own and shows nowhere"
        filled = l2.calls("get")
        poll(lambda: conn("GET", "k") == b"v" and l2.calls("get") > filled, 5.0, every=0.05)


def test_hits_and_misses_are_counted(pair):
    with pair.larder.conn() as conn:
        pair.l2.once("SET", "k", "v")
        before = tier(conn, "L1")
        conn("GET", "k")
        for _ in range(9):
            conn("GET", "k")
        after = tier(conn, "L1")
    assert after["hits"] - before["hits"] == 9
    assert after["misses"] - before["misses"] == 1


def test_a_thousand_keys_in_one_pipeline(pair):
    with pair.l2.conn() as direct, pair.larder.conn() as conn:
        direct.pipeline(("SET", f"k{i}", f"value {i}") for i in range(1000))
        want = [b"value %d" % i for i in range(1000)]
        assert conn.pipeline(("GET", f"k{i}") for i in range(1000)) == want
        filled = data_calls(pair.l2)
        assert conn.pipeline(("GET", f"k{i}") for i in range(1000)) == want
        assert data_calls(pair.l2) == filled


def test_more_than_l1_has_room_for(new_redis, new_larder):
    """Evicted keys come from L2 again, and L1 stays within its budget."""
    l2 = new_redis()
    larder = new_larder(l2, "--maxmemory", "2mb", "--maxmemory-policy", "allkeys-lru")
    value = b"v" * 1000
    with l2.conn() as direct, larder.conn() as conn:
        direct.pipeline(("SET", f"k{i}", value) for i in range(5000))
        for _ in range(2):
            for start in range(0, 5000, 500):
                keys = [("GET", f"k{i}") for i in range(start, start + 500)]
                assert conn.pipeline(keys) == [value] * 500
        stats = tier(conn, "L1")
        assert stats["evictions"] > 0
        assert stats["bytes"] <= 2 << 20
        assert 0 < stats["size"] < 5000
