"""CACHE in depth: what EXPLAIN tells, prefixes in large stores, and how CACHE WARM reads its words,
keeps its limits and behaves to those who wait."""

import signal
import time

import pytest

from support.resp import OK, Closed, Error, Map, Simple, encode, flat_map, poll
from support.stats import number, tier

COUNTS = ("asked", "warmed", "skipped", "missing", "failed")


def explain(conn, key):
    return {k: number(v) for k, v in flat_map(conn("CACHE", "EXPLAIN", key)).items()}


def status(conn, *job):
    return {k: number(v) for k, v in flat_map(conn("CACHE", "WARM", "STATUS", *job)).items()}


def waited(conn, *argv):
    """CACHE WARM … WAIT 0: the status at the end."""
    got = conn("CACHE", "WARM", *argv, "WAIT", 0)
    assert not isinstance(got, Error), got
    return {k: number(v) for k, v in flat_map(got).items()}


# EXPLAIN

@pytest.mark.parametrize("proto", (2, 3))
def test_explain_tells_whose_deadline_it_is(proto, new_redis, new_larder):
    l2 = new_redis()
    larder = new_larder(l2, "--l1-ttl", "50", "--l1-ttl-jitter", "0")
    with larder.conn(proto) as conn:
        l2.once("SET", "short", "v", "EX", 10)
        l2.once("SET", "long", "v", "EX", 1000)
        l2.once("SET", "ever", "value")
        conn("MGET", "short", "long", "ever", "none")
        got = explain(conn, "short")
        assert got["deadline"] == b"key" and got["key_expires"] == b"yes"
        assert 9000 < got["ttl_ms"] <= 10000
        got = explain(conn, "long")
        assert got["deadline"] == b"larder" and got["key_expires"] == b"yes"
        assert 49000 < got["ttl_ms"] <= 50000
        got = explain(conn, "ever")
        assert got["deadline"] == b"larder" and got["key_expires"] == b"never"
        assert got["value_bytes"] == 5 and got["bytes"] >= 5 + 4 + 24
        got = explain(conn, "none")
        assert got["kind"] == b"absent" and got["key_expires"] == b"absent"
        assert got["tracked"] == (True if proto == 3 else 1)
        assert got["link"] == b"ready" and got["link_epoch"] == 1
        assert got["policy"] == b"allkeys-lru" and got["idle_ms"] >= 0
        assert conn("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu") == OK
        assert explain(conn, "ever")["frequency"] >= 1


def test_explain_leaves_no_trace(pair):
    with pair.larder.conn() as conn:
        pair.l2.once("SET", "k", "v")
        conn("GET", "k")
        before = tier(conn, "L1")
        idle = [explain(conn, "k")["idle_ms"]]
        poll(lambda: explain(conn, "k")["idle_ms"] > idle[0] + 30)
        after = tier(conn, "L1")
        assert after["hits"] == before["hits"] and after["misses"] == before["misses"]
        assert explain(conn, "other")["reason"] == b"not cached, the next read asks L2"


def test_explain_is_per_database(pair):
    with pair.larder.conn() as conn:
        conn("SET", "k", "v")
        conn("GET", "k")
        conn("SELECT", 3)
        got = explain(conn, "k")
        assert got["tier"] == b"none" and got["db"] == 3


def test_explain_alone(alone):
    with alone.larder.conn() as conn:
        conn("SET", "k", "v", "PX", 5000)
        got = explain(conn, "k")
        assert got["deadline"] == b"key" and got["key_expires"] == b"yes" and got["tracked"] == 0
        conn("PERSIST", "k")
        got = explain(conn, "k")
        assert got["deadline"] == b"none" and got["key_expires"] == b"never"
        assert got["ttl_ms"] == -1 and got["link"] == b"none"
        assert explain(conn, "x")["reason"] == b"there is no such key"


def test_explain_without_l1(new_redis, new_larder):
    larder = new_larder(new_redis(), "--l1-enabled", "no")
    with larder.conn() as conn:
        conn("GET", "k")
        assert explain(conn, "k")["reason"] == b"L1 is switched off"
        assert conn("CACHE", "WARM", "KEYS", "k").startswith(b"ERR L1 is switched off")


# STATS

def test_resetstat_of_l2(pair):
    with pair.larder.conn() as conn:
        conn("GET", "nothing")
        assert conn("CACHE", "RESETSTAT") == OK
        got = tier(conn, "L2")
        assert got["hits"] == got["misses"] == got["fetches"] == 0
        assert got["state"] == b"ready"


def test_resetstat_alone(alone):
    with alone.larder.conn() as conn:
        conn("GET", "nothing")
        conn("CACHE", "RESETSTAT")
        got = tier(conn, "L1")
        assert got["hits"] == got["misses"] == 0
        assert flat_map(conn("CACHE", "STATS", "L2")) == {"state": b"none"}


# INVALIDATE PREFIX

def test_a_prefix_in_a_large_store(new_larder):
    """In slices: the reply comes when all are gone, and others are answered meanwhile."""
    larder = new_larder(None, "--databases", "3")
    with larder.conn() as conn, larder.conn() as other:
        for db in range(3):
            assert conn("SELECT", db) == OK
            for part in range(0, 60000, 5000):
                conn("MSET", *[w for i in range(part, part + 5000)
                               for w in (f"{'odd' if i % 2 else 'even'}:{i}", "v")])
        conn("SELECT", 0)
        conn.send(encode("CACHE", "INVALIDATE", "PREFIX", "odd:") + encode("DBSIZE"))
        assert other("PING") == b"PONG"
        assert conn.read(20.0).value == 90000
        assert conn.read().value >= 30000
        for db in range(3):
            conn("SELECT", db)
            assert conn("DBSIZE") == 30000
        assert conn("CACHE", "INVALIDATE", "PREFIX", "") == 90000
        assert tier(conn, "L1")["size"] == 0


def test_a_prefix_after_swapdb(alone):
    with alone.larder.conn() as conn:
        conn("SET", "p:1", "zero")
        conn("SELECT", 1)
        conn("SET", "q:1", "one")
        conn("SWAPDB", 0, 1)
        assert conn("CACHE", "INVALIDATE", "PREFIX", "p:") == 1
        assert conn("DBSIZE") == 0
        conn("SELECT", 0)
        assert conn("GET", "q:1") == b"one"


def test_a_client_that_leaves_its_prefix(new_larder):
    larder = new_larder(None)
    with larder.conn() as conn:
        for part in range(0, 50000, 5000):
            conn("MSET", *[w for i in range(part, part + 5000) for w in (f"k:{i}", "v")])
        with larder.conn() as leaver:
            leaver.send(encode("CACHE", "INVALIDATE", "PREFIX", "k:"))
        poll(lambda: conn("DBSIZE") == 0)


def test_a_stop_in_the_middle_of_a_prefix(new_larder):
    """The walk, which has hardly begun, is freed: the sanitizer's check of leaks sees it."""
    larder = new_larder(None, "--shutdown-timeout", "0")
    with larder.conn() as conn, larder.conn() as leaver:
        for part in range(0, 200000, 5000):
            conn("MSET", *[w for i in range(part, part + 5000) for w in (f"k:{i}", "v")])
        larder.signal(signal.SIGSTOP)
        conn.send(encode("CACHE", "INVALIDATE", "PREFIX", "k:"))
        leaver.send(encode("CACHE", "INVALIDATE", "PREFIX", "n:"))
        larder.signal(signal.SIGTERM)
        larder.stop()       # it goes on, with the commands and the signal before it
        for waiter in (conn, leaver):
            assert b":" not in waiter.until_closed(), "the walk had ended: more keys are needed"


def test_a_key_called_prefix(pair):
    with pair.larder.conn() as conn:
        conn("SET", "PREFIX", "v")
        conn("GET", "PREFIX")
        assert conn("CACHE", "INVALIDATE", "PREFIX") == 1


# WARM: words

@pytest.mark.parametrize("proto", (2, 3))
def test_warm_help(proto, alone):
    with alone.larder.conn(proto) as conn:
        got = conn("CACHE", "WARM", "HELP")
        assert all(isinstance(line, Simple) for line in got)
        text = b"\n".join(got)
        for word in (b"KEYS", b"MATCH", b"FILE", b"STATUS", b"LIST", b"CANCEL", b"HELP",
                     b"CONCURRENCY", b"LIMIT", b"RATE", b"TTL", b"WAIT"):
            assert word in text, word


MISTAKES = [
    ("NOSUCH", b"ERR unknown subcommand 'NOSUCH'. Try CACHE WARM HELP."),
    ("KEYS", b"ERR wrong number of arguments for 'cache|warm' command"),
    ("LIST x", b"ERR wrong number of arguments for 'cache|warm' command"),
    ("STATUS 1 2", b"ERR wrong number of arguments for 'cache|warm' command"),
    ("STATUS x", b"ERR value is not an integer or out of range"),
    ("CANCEL 1.5", b"ERR value is not an integer or out of range"),
    ("CANCEL 0", b"NOJOB no such warming job"),
    ("STATUS 0", b"NOJOB no such warming job"),
    ("STATUS 99999", b"NOJOB no such warming job"),
    ("KEYS a CONCURRENCY 0", b"ERR CONCURRENCY must be an integer from 1 to 1000"),
    ("KEYS a CONCURRENCY 1001", b"ERR CONCURRENCY must be an integer from 1 to 1000"),
    ("KEYS a TTL abc", b"ERR TTL must be an integer from 1 to 2147483647"),
    ("KEYS a RATE 1/m", b"ERR RATE must be an integer from 1 to 1000000"),
    ("KEYS a WAIT -1", b"ERR WAIT must be an integer from 0 to 2147483647"),
    ("KEYS a LIMIT", b"ERR LIMIT needs a value"),
    ("MATCH * LIMIT", b"ERR LIMIT needs a value"),
    ("MATCH * LIMIT 0", b"ERR LIMIT must be an integer from 1 to 9223372036854775807"),
    ("MATCH * BLA 1", b"ERR unknown option 'BLA'. Try CACHE WARM HELP."),
    ("MATCH * TTL 1 ttl 2", b"ERR TTL is given twice"),
    ("FILE keys", b"ERR CACHE WARM FILE is off, set warm-dir to the directory of the key files"),
]


@pytest.mark.parametrize("words,error", MISTAKES, ids=[m[0] for m in MISTAKES])
def test_warm_mistakes(words, error, pair):
    with pair.larder.conn() as conn:
        assert conn("CACHE", "WARM", *words.split()) == error
        assert isinstance(conn("CACHE", "WARM", *words.split()), Error)


def test_keys_and_options_are_told_apart(pair):
    with pair.larder.conn() as conn:
        assert waited(conn, "KEYS", "LIMIT")["missing"] == 1, "one word is a key"
        got = waited(conn, "KEYS", "a", "ttl", "7", "CONCURRENCY", 3, "TTL", 60)
        assert got["asked"] == 3 and got["concurrency"] == 3 and got["ttl"] == 60
        got = waited(conn, "KEYS", "a", "RATE", "1000/s", "limit", 1)
        assert got["rate_limit"] == 1000 and got["limit"] == 1
        got = waited(conn, "KEYS", b"\r\n\x00", b"")
        assert got["missing"] == 2 and got["argument"] == b""
        assert waited(conn, "MATCH", "no\nsuch*")["argument"] == b"no\nsuch*"


def test_warm_alone(alone):
    with alone.larder.conn() as conn:
        assert conn("CACHE", "WARM", "KEYS", "a") == \
            b"ERR there is no upstream to warm from, larder serves L1 alone"
        assert conn("CACHE", "WARM", "LIST") == []
        assert conn("CACHE", "WARM", "STATUS") == b"NOJOB no such warming job"


# WARM: jobs

@pytest.fixture
def many(new_redis, new_larder):
    """A larder in front of 20,000 keys of 1000 bytes: make(option, …)."""
    l2 = new_redis()
    with l2.conn() as direct:
        for part in range(0, 20000, 2000):
            direct("MSET", *[w for i in range(part, part + 2000) for w in (f"k{i}", b"v" * 1000)])
    return lambda *options: new_larder(l2, *options)


def test_ids_and_forms(pair):
    with pair.larder.conn(3) as conn:
        first = conn("CACHE", "WARM", "KEYS", "a")
        assert conn("CACHE", "WARM", "KEYS", "b") == first + 1
        got = conn("CACHE", "WARM", "STATUS")
        assert isinstance(got, Map) and flat_map(got)["id"] == first + 1
        listed = conn("CACHE", "WARM", "LIST")
        assert all(isinstance(job, Map) for job in listed) and len(listed) <= 48
        assert [flat_map(job)["id"] for job in listed][-2:] == [first, first + 1]


def test_wait_is_over_before_the_job(many):
    larder = many()
    with larder.conn() as conn:
        started = time.monotonic()
        got = conn("CACHE", "WARM", "MATCH", "*", "RATE", 10, "WAIT", 100)
        assert time.monotonic() - started > 0.09
        got = flat_map(got)
        assert got["state"] == b"running" and got["asked"] < 100, "it would take minutes"
        conn("CACHE", "WARM", "CANCEL", got["id"])
        assert conn("CACHE", "WARM", "CANCEL", got["id"]) == \
            b"ERR this warming job has ended already"


def test_wait_holds_back_this_client_only(many):
    larder = many()
    with larder.conn() as waiter, larder.conn() as other:
        waiter.send(encode("CACHE", "WARM", "MATCH", "*", "RATE", 5, "WAIT", 0) + encode("PING"))
        job = poll(lambda: other("CACHE", "WARM", "LIST"))[0]
        assert other("GET", "k7") == b"v" * 1000
        assert waiter.quiet(0.05) == (b"", False)
        other("CACHE", "WARM", "CANCEL", flat_map(job)["id"])
        assert flat_map(waiter.read().value)["state"] == b"cancelled"
        assert waiter.read().value == b"PONG"


def test_a_waiter_that_leaves(many):
    larder = many()
    with larder.conn() as conn:
        with larder.conn() as leaver:
            leaver.send(encode("CACHE", "WARM", "MATCH", "*", "WAIT", 0))
            poll(lambda: conn("CACHE", "WARM", "LIST"))
        poll(lambda: status(conn)["state"] == b"done", 20.0)
        assert tier(conn, "L1")["size"] == 20000


def test_a_full_l1_is_not_pushed_out(many):
    larder = many("--maxmemory", "4mb")
    with larder.conn() as conn:
        got = waited(conn, "MATCH", "*")
        assert got["state"] == b"stopped" and got["reason"] == b"L1 is full"
        assert 2000 < got["warmed"] < 4000
        assert got["asked"] == sum(got[c] for c in COUNTS[1:])
        stats = tier(conn, "L1")
        assert stats["evictions"] == 0 and stats["size"] == got["warmed"]


def test_what_l1_would_not_keep_has_failed(many):
    larder = many("--l1-max-item", "500")
    with larder.conn() as conn:
        got = waited(conn, "KEYS", "k1", "k2", "none")
        assert [got[c] for c in COUNTS] == [3, 0, 0, 1, 2] and got["not_kept"] == 2
        assert got["last_error"] != b""


def test_rate(many):
    larder = many()
    with larder.conn() as conn:
        got = waited(conn, "MATCH", "*", "RATE", 500, "LIMIT", 100)
        assert got["warmed"] == 100
        assert got["elapsed_ms"] >= 180, "100 keys at 500 a second"


def test_limit_is_shared_by_all_sources(many):
    larder = many()
    with larder.conn() as conn:
        assert waited(conn, "MATCH", "k1*", "LIMIT", 30)["asked"] == 30
        assert waited(conn, "KEYS", "a", "b", "c", "LIMIT", 2)["asked"] == 2


def test_clients_are_served_beside_it(many):
    larder = many()
    with larder.conn() as conn, larder.conn() as other:
        job = conn("CACHE", "WARM", "MATCH", "*", "CONCURRENCY", 1000)
        n = 0
        while status(conn, job)["state"] == b"running":
            assert other("GET", f"k{n % 20000}") == b"v" * 1000
            n += 1
        assert n > 0 and status(conn, job)["state"] == b"done"
        got = status(conn, job)
        assert got["bytes"] == 1000 * got["warmed"] and got["seconds_left"] == 0


def test_in_the_clients_database(pair):
    with pair.larder.conn() as conn:
        conn("SELECT", 5)
        conn("SET", "only:here", "v")
        got = waited(conn, "MATCH", "only:*")
        assert got["db"] == 5 and got["warmed"] == 1
        assert explain(conn, "only:here")["tier"] == b"L1"
        conn("SELECT", 6)
        assert waited(conn, "MATCH", "only:*")["asked"] == 0


def test_match_asks_for_strings_only(pair):
    with pair.larder.conn() as conn:
        conn("SET", "m:s", "v")
        conn("LPUSH", "m:l", "v")
        got = waited(conn, "MATCH", "m:*")
        assert [got[c] for c in COUNTS] == [1, 1, 0, 0, 0]
        got = waited(conn, "KEYS", "m:l")
        assert got["failed"] == got["wrong_type"] == 1
        assert got["last_error"].startswith(b"WRONGTYPE")


def test_many_jobs_at_once(many):
    larder = many()
    with larder.conn() as conn:
        jobs = [conn("CACHE", "WARM", "MATCH", "*", "RATE", 1) for _ in range(16)]
        assert conn("CACHE", "WARM", "KEYS", "a") == \
            b"ERR 16 warming jobs are under way, wait for one or cancel one"
        for job in jobs:
            assert conn("CACHE", "WARM", "CANCEL", job) == OK
        poll(lambda: all(status(conn, j)["in_flight"] == 0 for j in jobs))
        assert isinstance(conn("CACHE", "WARM", "KEYS", "a"), int)


# WARM FILE

def test_lines_of_a_file(new_redis, new_larder, tmp_path):
    l2 = new_redis()
    keys = [b"plain", b"with blank", b"new\nline", b"back\\slash", b"\x00\xff", b" lead", b"last"]
    for key in keys:
        l2.once("SET", key, b"=" + key)
    (tmp_path / "keys").write_bytes(b"plain\r\n\nwith blank\nnew\\nline\nback\\\\slash\n\\x00\\xFf\n"
                                    b" lead\nwrong\\escape\nlast")
    larder = new_larder(l2, "--warm-dir", tmp_path)
    with larder.conn() as conn:
        got = waited(conn, "FILE", "keys")
        assert [got[c] for c in COUNTS] == [8, 7, 0, 0, 1] and got["bad_lines"] == 1
        assert got["last_error"] == b"line 8 has an unknown escape"
        for key in keys:
            assert explain(conn, key)["tier"] == b"L1", key


def test_a_large_file(many, tmp_path):
    (tmp_path / "sub").mkdir()
    with open(tmp_path / "sub" / "keys", "w", encoding="ascii") as keys:
        for i in range(20000):
            keys.write(f"k{i}\n")
        keys.write("k" * 70000)
    larder = many("--warm-dir", tmp_path)
    with larder.conn() as conn:
        got = waited(conn, "FILE", f"{tmp_path}/sub/keys", "CONCURRENCY", 100)
        assert got["state"] == b"failed"
        assert got["reason"] == b"line 20001 is longer than 65536 bytes"
        assert got["warmed"] == 20000


@pytest.mark.parametrize("path", ["../keys", "a/../keys", "/etc/passwd", "", "nosuch", ".", "x\x00"])
def test_paths_that_lead_nowhere(path, new_redis, new_larder, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "keys").write_text("a\n")
    larder = new_larder(new_redis(), "--warm-dir", tmp_path / "a")
    with larder.conn() as conn:
        assert conn("CACHE", "WARM", "FILE", path).startswith(b"ERR can't open '")


# The end

def test_shutdown_ends_jobs_and_waits(many):
    larder = many("--shutdown-timeout", "600")
    with larder.conn() as conn, larder.conn() as waiter:
        waiter.send(encode("CACHE", "WARM", "MATCH", "*", "RATE", 5, "WAIT", 0))
        conn("CACHE", "WARM", "KEYS", "k1", "k2", "RATE", 1)
        poll(lambda: len(conn("CACHE", "WARM", "LIST")) == 2)
        larder.stop()
        assert flat_map(waiter.read().value)["state"] == b"cancelled"
        with pytest.raises(Closed):
            waiter.read()
