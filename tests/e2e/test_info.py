"""INFO: Redis's sections and field names, so that tools find what they look for."""

import re
import signal

import pytest

from support.resp import Error, Verbatim, encode, poll
from support.stats import info

SECTIONS = {
    "server": ["redis_version", "redis_mode", "os", "arch_bits", "process_id", "run_id", "tcp_port",
               "uptime_in_seconds", "uptime_in_days", "hz", "executable", "config_file"],
    "clients": ["connected_clients", "maxclients", "blocked_clients"],
    "memory": ["used_memory", "used_memory_human", "used_memory_rss", "used_memory_peak",
               "maxmemory", "maxmemory_human", "maxmemory_policy", "mem_fragmentation_ratio",
               "mem_allocator"],
    "persistence": ["loading", "rdb_bgsave_in_progress", "aof_enabled"],
    "stats": ["total_connections_received", "total_commands_processed", "instantaneous_ops_per_sec",
              "total_net_input_bytes", "total_net_output_bytes", "rejected_connections",
              "expired_keys", "evicted_keys", "keyspace_hits", "keyspace_misses",
              "pubsub_channels", "total_error_replies"],
    "replication": ["role", "connected_slaves"],
    "cpu": ["used_cpu_sys", "used_cpu_user"],
    "cluster": ["cluster_enabled"],
}


@pytest.mark.parametrize("section", SECTIONS)
def test_section(section, pair):
    with pair.larder.conn() as conn, pair.l2.conn() as direct:
        ours, theirs = info(conn, section), info(direct, section)
        for name in SECTIONS[section]:
            assert name in theirs, f"redis-server has no {name}"
            assert name in ours, f"{section} lacks {name}"


@pytest.mark.parametrize("proto", (2, 3))
def test_the_whole(proto, pair):
    with pair.larder.conn(proto) as conn:
        got = conn("INFO")
        assert isinstance(got, Verbatim) == (proto == 3)
        text = got.decode()
        for title in ("Server", "Clients", "Memory", "Persistence", "Stats", "Replication", "CPU",
                      "Cluster", "Keyspace"):
            assert re.search(rf"^# {title}\r$", text, re.M), title
        assert "\n" not in text.replace("\r\n", "")
        for argv in (("everything",), ("all",), ("server", "clients"), ("SERVER",), ("default",)):
            assert b"# Server" in conn("INFO", *argv)
        assert b"# Memory" not in conn("INFO", "server", "clients")
        assert b"cmdstat_get" in conn("INFO", "everything") or conn("GET", "k") is not None


def test_values(pair):
    with pair.larder.conn() as conn:
        before = info(conn)
        pair.l2.once("SET", "k", "v")
        for _ in range(10):
            conn("GET", "k")
        conn("GET", "missing")
        after = info(conn)
        assert after["redis_version"] == info(pair.l2.conn())["redis_version"]
        assert int(after["tcp_port"]) == pair.larder.port
        assert int(after["process_id"]) == pair.larder.pid
        assert after["role"] == "master"
        hits = int(after["keyspace_hits"]) - int(before["keyspace_hits"])
        misses = int(after["keyspace_misses"]) - int(before["keyspace_misses"])
        assert (hits, misses) == (10, 1), "what the client saw"
        commands = int(after["total_commands_processed"]) - int(before["total_commands_processed"])
        assert commands == 12
        assert int(after["used_memory"]) > 100000
        assert len(after["run_id"]) == 40


def test_commandstats(new_redis, new_larder):
    larder = new_larder(new_redis())
    with larder.conn() as conn:
        conn("CONFIG", "RESETSTAT")
        for _ in range(5):
            conn("GET", "k")
        conn("SET", "k", "v")
        conn("INCR", "k")
        conn("LPUSH", "l", "a")
        conn("GET")
        text = conn("INFO", "commandstats").decode()
        assert re.search(r"cmdstat_get:calls=5,usec=\d+,usec_per_call=[\d.]+,rejected_calls=1,"
                         r"failed_calls=0\r", text), text
        assert "cmdstat_set:calls=1" in text and "cmdstat_lpush:calls=1" in text
        assert re.search(r"errorstat_ERR:count=\d+", conn("INFO", "errorstats").decode())


def test_keyspace_is_l2s(pair):
    with pair.larder.conn() as conn:
        conn("SET", "k", "v")
        conn("SET", "l", "v", "EX", 100)
        got = info(conn, "keyspace")
        assert got["db0"].startswith("keys=2,expires=1,"), got


def test_alone(alone):
    with alone.larder.conn() as conn:
        conn("SET", "k", "v")
        conn("SET", "l", "v", "EX", 100)
        got = info(conn)
        assert got["redis_version"].startswith("7.")
        assert got["db0"].startswith("keys=2,expires=1"), got.get("db0")


def test_upstream_is_visible(pair):
    with pair.larder.conn() as conn:
        text = conn("INFO").decode()
        assert f"127.0.0.1:{pair.l2.port}" in text


def test_slow_log_and_latency_answer(pair):
    with pair.larder.conn() as conn:
        assert isinstance(conn("SLOWLOG", "LEN"), int)
        assert isinstance(conn("SLOWLOG", "GET"), list)
        assert conn("SLOWLOG", "RESET") == b"OK"
        conn("CONFIG", "SET", "slowlog-log-slower-than", 0)
        conn("SET", "slow", "v")
        conn("CONFIG", "SET", "slowlog-log-slower-than", 10000)
        entries = conn("SLOWLOG", "GET", 10)
        assert any(e[3][:2] == [b"SET", b"slow"] for e in entries), entries
        assert isinstance(conn("LATENCY", "HISTOGRAM", "get"), list)


def test_what_waits(new_redis, new_larder):
    """Links of their own that clients have, and replies that are owed, of who has left too."""
    l2 = new_redis()
    larder = new_larder(l2, "--upstream-pinned-max", "2", "--upstream-timeout", "60000")

    def figures(conn):
        got = info(conn, "larder", "l2")
        return [int(got[name]) for name in (
            "l2_pinned_in_use", "l2_pinned_idle", "l2_pinned_max", "l2_pinned_created",
            "l2_pinned_refused", "reply_slots")]
    with larder.conn() as conn, larder.conn() as first, larder.conn() as second:
        first.send(encode("BLPOP", "queue", 0))
        poll(lambda: info(conn, "clients")["blocked_clients"] == "1", 10.0)
        second.send(encode("BLPOP", "other", 0))
        poll(lambda: figures(conn) == [2, 0, 2, 2, 0, 2], 10.0)
        assert isinstance(conn("BLPOP", "queue", 0), Error)
        assert figures(conn) == [2, 0, 2, 2, 1, 2]
        l2.once("RPUSH", "queue", "x")
        assert first.read().value == [b"queue", b"x"]
        assert figures(conn) == [1, 1, 2, 2, 1, 1]
        for reset in (("CACHE", "RESETSTAT"), ("CONFIG", "RESETSTAT")):
            assert conn(*reset) == b"OK"
            assert figures(conn) == [1, 1, 2, 0, 0, 1]
            assert isinstance(first("WATCH", "k"), bytes)
            assert isinstance(conn("WATCH", "k"), Error)
            assert figures(conn) == [2, 0, 2, 0, 1, 1]
            assert first("UNWATCH") == b"OK"
            poll(lambda: figures(conn)[:2] == [1, 1], 10.0)
        name = first("CLIENT", "ID")
        l2.signal(signal.SIGSTOP)
        first.send(encode("SET", "k", "v"))
        poll(lambda: figures(conn)[5] == 2, 10.0)
        assert conn("CLIENT", "KILL", "ID", name) == 1
        assert info(conn, "clients")["connected_clients"] == "2"
        assert figures(conn)[5] == 2
        l2.signal(signal.SIGCONT)
        poll(lambda: figures(conn)[5] == 1, 10.0)
