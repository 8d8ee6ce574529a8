"""CACHE STATS, RESETSTAT, FLUSH, INVALIDATE, EXPLAIN and HELP, in both protocols' forms."""

import pytest

from support.resp import NIL, OK, Error, Map, flat_map, poll
from support.stats import L1_FIELDS, tier
from support.watch import data_calls


@pytest.mark.parametrize("proto", (2, 3))
def test_stats_of_l1(proto, pair):
    with pair.larder.conn(proto) as conn:
        got = conn("CACHE", "STATS", "L1")
        assert isinstance(got, Map) == (proto == 3), "a map in RESP3, a flat array in RESP2"
        fields = tier(conn, "L1")
        assert set(L1_FIELDS) <= set(fields), set(L1_FIELDS) - set(fields)
        assert 0 <= fields["bytes"] <= (fields["max_size"] or float("inf"))


@pytest.mark.parametrize("proto", (2, 3))
def test_stats_of_l2(proto, pair):
    with pair.larder.conn(proto) as conn:
        before = tier(conn, "L2")
        pair.l2.once("SET", "k", "v")
        conn("GET", "k")
        conn("GET", "missing")
        after = tier(conn, "L2")
        assert {"hits", "misses"} <= set(after)
        assert after["hits"] - before["hits"] == 1
        assert after["misses"] - before["misses"] == 1


@pytest.mark.parametrize("proto", (2, 3))
def test_stats_of_both(proto, pair):
    with pair.larder.conn(proto) as conn:
        got = {k.upper(): v for k, v in flat_map(conn("CACHE", "STATS")).items()}
        assert {"L1", "L2"} <= set(got)
        assert "hits" in flat_map(got["L1"]) and "hits" in flat_map(got["L2"])


def test_stats_alone(alone):
    with alone.larder.conn() as conn:
        conn("SET", "k", "v")
        conn("GET", "k")
        assert tier(conn, "L1")["hits"] >= 1
        got = conn("CACHE", "STATS", "L2")
        assert isinstance(got, (list, Error))


def test_what_the_numbers_say(new_redis, new_larder):
    l2 = new_redis()
    larder = new_larder(l2)
    with larder.conn() as conn:
        conn("CACHE", "FLUSH")
        conn("CACHE", "RESETSTAT")
        zero = tier(conn, "L1")
        assert zero["hits"] == zero["misses"] == zero["size"] == 0
        l2.once("MSET", "a", 1, "b", 2)
        for key in ("a", "b", "c", "a", "a", "b", "c"):
            conn("GET", key)
        got = tier(conn, "L1")
        assert got["misses"] == 3 and got["hits"] == 4
        assert got["size"] == 3, "an absent key is an entry, too"
        rate = got["hit_rate"]
        assert abs(rate - 4 / 7) < 0.01 or abs(rate - 400 / 7) < 1, rate
        assert conn("CACHE", "RESETSTAT") == OK
        got = tier(conn, "L1")
        assert got["hits"] == got["misses"] == 0 and got["size"] == 3


def test_expirations_and_evictions_are_counted(new_larder):
    larder = new_larder(None, "--maxmemory", "2mb")
    with larder.conn() as conn:
        conn.pipeline(("SET", f"k{i}", b"v" * 1000) for i in range(4000))
        got = tier(conn, "L1")
        assert got["evictions"] >= 1000 and got["bytes"] <= 2 << 20
        conn("FLUSHALL")
        conn.pipeline(("SET", f"k{i}", "v", "PX", 1) for i in range(50))
        poll(lambda: tier(conn, "L1")["expirations"] >= 50, 5.0)
        assert tier(conn, "L1")["size"] == 0


def test_flush_is_l1_only(pair):
    with pair.larder.conn() as conn:
        conn.pipeline(("SET", f"k{i}", i) for i in range(100))
        conn.pipeline(("GET", f"k{i}") for i in range(100))
        got = conn("CACHE", "FLUSH")
        assert not isinstance(got, Error), got
        assert tier(conn, "L1")["size"] == 0
        assert pair.l2.once("DBSIZE") == 100
        before = pair.l2.calls("get")
        assert conn.pipeline(("GET", f"k{i}") for i in range(100)) == [b"%d" % i
                                                                       for i in range(100)]
        assert pair.l2.calls("get") == before + 100


def test_flush_alone_empties_the_store(alone):
    with alone.larder.conn() as conn:
        conn("SET", "k", "v")
        conn("CACHE", "FLUSH")
        assert conn("GET", "k") is NIL


def test_invalidate_keys(pair):
    with pair.larder.conn() as conn:
        conn("MSET", "a", 1, "b", 2, "c", 3)
        conn("MGET", "a", "b", "c")
        assert conn("CACHE", "INVALIDATE", "a", "b", "nothing") == 2
        before = pair.l2.calls("get")
        assert conn("GET", "c") == b"3" and pair.l2.calls("get") == before
        assert conn("GET", "a") == b"1" and pair.l2.calls("get") == before + 1
        assert pair.l2.once("EXISTS", "a", "b", "c") == 3


def test_invalidate_prefix(pair):
    with pair.larder.conn() as conn:
        conn("MSET", "user:1", 1, "user:2", 2, "item:1", 3)
        conn("MGET", "user:1", "user:2", "item:1")
        assert conn("CACHE", "INVALIDATE", "PREFIX", "user:") == 2
        before = data_calls(pair.l2)
        assert conn("GET", "item:1") == b"3" and data_calls(pair.l2) == before
        assert conn("GET", "user:1") == b"1" and data_calls(pair.l2) > before


@pytest.mark.parametrize("proto", (2, 3))
def test_explain(proto, pair):
    with pair.larder.conn(proto) as conn:
        pair.l2.once("SET", "k", "value", "PX", 100000)
        before = flat_map(conn("CACHE", "EXPLAIN", "k"))
        assert "tier" in before
        for _ in range(4):
            conn("GET", "k")
        calls = data_calls(pair.l2)
        held = flat_map(conn("CACHE", "EXPLAIN", "k"))
        assert held["tier"].upper() == b"L1" and held["tier"] != before["tier"]
        assert held["kind"] == b"string"
        assert held["bytes"] > 5
        assert data_calls(pair.l2) == calls, "it asks L1 only"
        assert tier(conn, "L1")["hits"] >= 3
        conn("GET", "nothing")
        assert flat_map(conn("CACHE", "EXPLAIN", "nothing"))["kind"] == b"absent"
        conn("CACHE", "INVALIDATE", "k")
        assert flat_map(conn("CACHE", "EXPLAIN", "k"))["tier"] == before["tier"]


@pytest.mark.parametrize("proto", (2, 3))
@pytest.mark.parametrize("argv", [("CACHE", "HELP"), ("cache", "help")])
def test_help(argv, proto, alone):
    with alone.larder.conn(proto) as conn:
        got = conn(*argv)
        assert isinstance(got, list) and len(got) >= 5
        text = b"\n".join(got).upper()
        for word in (b"STATS", b"RESETSTAT", b"FLUSH", b"INVALIDATE", b"EXPLAIN", b"WARM", b"HELP"):
            assert word in text, word


@pytest.mark.parametrize("argv", [
    ("CACHE",), ("CACHE", "NOSUCH"), ("CACHE", "STATS", "L3"), ("CACHE", "STATS", "L1", "L2"),
    ("CACHE", "EXPLAIN"), ("CACHE", "EXPLAIN", "a", "b"), ("CACHE", "INVALIDATE"),
    ("CACHE", "INVALIDATE", "PREFIX", "a", "b"), ("CACHE", "FLUSH", "now"),
    ("CACHE", "RESETSTAT", "x"), ("CACHE", "WARM"), ("CACHE", "WARM", "NOSUCH"),
    ("CACHE", "WARM", "KEYS"), ("CACHE", "WARM", "MATCH"), ("CACHE", "WARM", "FILE"),
    ("CACHE", "WARM", "MATCH", "*", "LIMIT", "x"), ("CACHE", "WARM", "CANCEL"),
    ("CACHE", "WARM", "CANCEL", "x"), ("CACHE", "WARM", "KEYS", "a", "CONCURRENCY"),
    ("CACHE", "WARM", "MATCH", "*", "CONCURRENCY", 0), ("CACHE", "WARM", "MATCH", "*", "TTL", -1),
], ids=lambda a: " ".join(map(str, a)))
def test_mistakes(argv, pair):
    with pair.larder.conn() as conn:
        got = conn(*argv)
        assert isinstance(got, Error) and got.split()[0].isupper(), got
        assert conn("PING") == b"PONG"


def test_in_the_list_of_commands(pair):
    with pair.larder.conn() as conn:
        assert conn("COMMAND", "INFO", "cache")[0][0] == b"cache"
        assert b"cache" in conn("COMMAND", "LIST")
        docs = flat_map(conn("COMMAND", "DOCS", "cache"))
        assert "summary" in flat_map(docs["cache"])
        assert conn("COMMAND", "INFO", "get", "cache", "hget")[2][0] == b"hget"


def test_database_of_the_client(pair):
    with pair.larder.conn() as conn:
        conn("SET", "k", "zero")
        conn("GET", "k")
        conn("SELECT", 4)
        conn("SET", "k", "four")
        conn("GET", "k")
        assert conn("CACHE", "INVALIDATE", "k") >= 1
        before = pair.l2.calls("get")
        assert conn("GET", "k") == b"four"
        assert pair.l2.calls("get") == before + 1
