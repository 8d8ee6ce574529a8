"""CONFIG GET, SET and REWRITE: round trips, all or nothing, and what a change does."""

import re

import pytest

from support.resp import NIL, OK, Error, flat_map, poll
from support.stats import tier

ROUND_TRIPS = [
    ("maxmemory", "10mb", "10485760"), ("maxmemory", "123456789", "123456789"),
    ("maxmemory", "2gb", "2147483648"), ("maxmemory", "1k", "1000"), ("maxmemory", "0", "0"),
    ("maxmemory-policy", "allkeys-lfu", "allkeys-lfu"),
    ("maxmemory-policy", "NOEVICTION", "noeviction"),
    ("maxmemory-samples", "10", "10"), ("timeout", "300", "300"), ("tcp-keepalive", "60", "60"),
    ("maxclients", "500", "500"), ("loglevel", "debug", "debug"), ("protected-mode", "no", "no"),
    ("proto-max-bulk-len", "2mb", "2097152"), ("client-query-buffer-limit", "2mb", "2097152"),
    ("l1-enabled", "no", "no"), ("l1-ttl", "17", "17"), ("upstream-timeout", "1234", "1234"),
    ("upstream-ping-interval", "99", "99"), ("slowlog-log-slower-than", "-1", "-1"),
    ("slowlog-max-len", "7", "7"),
]


@pytest.fixture
def own(new_larder):
    """A larder whose configuration a test may change."""
    return new_larder()


@pytest.mark.parametrize("name,value,shown", ROUND_TRIPS)
def test_round_trip(name, value, shown, own):
    with own.conn() as conn, own.conn(3) as three:
        assert conn("CONFIG", "SET", name, value) == OK
        assert conn("CONFIG", "GET", name) == [name.encode(), shown.encode()]
        assert flat_map(three("CONFIG", "GET", name)) == {name: shown.encode()}
        assert conn("PING") == b"PONG"


def test_several_at_once_or_none(own):
    with own.conn() as conn:
        assert conn("CONFIG", "SET", "timeout", 100, "maxclients", 200) == OK
        assert flat_map(conn("CONFIG", "GET", "timeout", "maxclients")) == \
            {"timeout": b"100", "maxclients": b"200"}
        got = conn("CONFIG", "SET", "timeout", 300, "maxclients", "nonsense", "maxmemory", "5mb")
        assert isinstance(got, Error)
        assert got.startswith(b"ERR CONFIG SET failed (possibly related to argument 'maxclients')")
        assert flat_map(conn("CONFIG", "GET", "timeout", "maxclients")) == \
            {"timeout": b"100", "maxclients": b"200"}


def test_patterns(own):
    with own.conn() as conn:
        every = flat_map(conn("CONFIG", "GET", "*"))
        some = flat_map(conn("CONFIG", "GET", "maxmemory*"))
        assert set(some) == {n for n in every if n.startswith("maxmemory")} and len(some) >= 3
        assert flat_map(conn("CONFIG", "GET", "MAXMEM*")) == some
        assert conn("CONFIG", "GET", "nothing*") == []
        assert conn("CONFIG", "GET", "port") == [b"port", str(own.port).encode()]
        names = [n for n, _ in zip(*[iter(conn("CONFIG", "GET", "*", "port"))] * 2)]
        assert len(names) == len(set(names)), "each once"
        assert flat_map(conn("CONFIG", "GET", "save", "appendonly")) == \
            {"save": b"", "appendonly": b"no"}, "redis-benchmark asks for these"


@pytest.mark.parametrize("name", ("databases", "upstream", "unixsocket", "logfile"))
def test_what_cannot_change_at_run_time(name, own):
    with own.conn() as conn:
        got = conn("CONFIG", "SET", name, "1")
        assert isinstance(got, Error) and b"can't set immutable config" in got, got


def test_a_smaller_budget_evicts(new_redis, new_larder):
    larder = new_larder(new_redis(), "--maxmemory", "50mb")
    with larder.conn() as conn:
        conn.pipeline(("SET", f"k{i}", b"v" * 1000) for i in range(5000))
        conn.pipeline(("GET", f"k{i}") for i in range(5000))
        assert tier(conn, "L1")["size"] >= 4900
        assert conn("CONFIG", "SET", "maxmemory", "1mb") == OK
        poll(lambda: tier(conn, "L1")["bytes"] <= 1 << 20, 10.0)
        assert conn("GET", "k0") == b"v" * 1000


def test_noeviction_alone(own):
    """Without an upstream larder is a store: what has no room is refused, as in Redis."""
    with own.conn() as conn:
        conn("CONFIG", "SET", "maxmemory", "2mb", "maxmemory-policy", "noeviction")
        got = [conn("SET", f"k{i}", b"v" * 10000) for i in range(400)]
        assert got[0] == OK
        refused = [g for g in got if g != OK]
        assert refused and all(g.startswith(b"OOM command not allowed") for g in refused)
        assert conn("GET", "k0") == b"v" * 10000
        conn("DEL", *[f"k{i}" for i in range(200)])
        assert conn("SET", "k", "v") == OK


def test_switching_l1_off_and_on(new_redis, new_larder):
    l2 = new_redis()
    larder = new_larder(l2)
    with larder.conn() as conn:
        conn("SET", "k", "v")
        conn("GET", "k")
        conn("CONFIG", "SET", "l1-enabled", "no")
        before = l2.calls("get")
        assert [conn("GET", "k") for _ in range(3)] == [b"v"] * 3
        assert l2.calls("get") == before + 3
        l2.once("SET", "k", "w")
        conn("CONFIG", "SET", "l1-enabled", "yes")
        assert conn("GET", "k") == b"w"
        assert conn("GET", "none") is NIL
        before = l2.calls("get")
        assert [conn("GET", "k") for _ in range(3)] == [b"w"] * 3
        assert l2.calls("get") == before


def test_rewrite(new_larder, tmp_path):
    path = tmp_path / "larder.conf"
    path.write_text("# kept comment\nmaxmemory 10mb\n\n# another one\ntimeout 5\n")
    larder = new_larder(None, conf=path)
    with larder.conn() as conn:
        assert conn("CONFIG", "SET", "maxmemory", "20mb", "timeout", 0, "maxclients", 321,
                    "requirepass", 'a "b" c') == OK
        assert conn("CONFIG", "REWRITE") == OK
        before = flat_map(conn("CONFIG", "GET", "*"))
    text = path.read_text()
    assert "# kept comment" in text and "# another one" in text
    assert re.search(r"^maxmemory (20mb|20971520)$", text, re.M), text
    assert re.search(r"^maxclients 321$", text, re.M), text
    assert text.count("maxmemory ") == 1
    larder.stop()
    larder.start()
    with larder.conn() as conn:
        assert conn("AUTH", 'a "b" c') == OK
        after = flat_map(conn("CONFIG", "GET", "*"))
        for volatile in ("port",):
            before.pop(volatile), after.pop(volatile)
        assert after == before
        assert conn("CONFIG", "REWRITE") == OK
    assert path.read_text().count("maxclients 321") == 1


def test_resetstat(new_redis, new_larder):
    larder = new_larder(new_redis())
    with larder.conn() as conn:
        for _ in range(20):
            conn("GET", "k")
        assert tier(conn, "L1")["hits"] > 0
        assert conn("CONFIG", "RESETSTAT") == OK
        assert b"keyspace_hits:0" in conn("INFO", "stats")
