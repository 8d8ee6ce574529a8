"""What client libraries send when they connect, as bytes: the same replies as redis-server.

Each step is a command, or (command, mark): `same` replies are equal to the byte, `kind` of the same
type (ids, addresses, figures), `fields` maps or INFO texts that have what clients look for, `newer`
is refused by Redis 7.0 and taken by larder, as by the Redis that clients of 2026 know.
"""

import re

import pytest

from support.resp import OK, Conn, Error, Map, Push, encode, flat_map

SAME, KIND, NEWER = "same", "kind", "newer"


def fields(*names):
    """INFO's text, or a map: these are there on both sides, whatever their values."""
    return tuple(n.encode() for n in names)


HELLO_FIELDS = fields("server", "version", "proto", "id", "mode", "role", "modules")

HANDSHAKES = {
    "redis-py 4": ["PING", "SELECT 0", "CLIENT SETNAME app", "SET k v", "GET k"],
    "redis-py 4 with a password": ["AUTH secret", "PING", "SELECT 2", "GET k"],
    "redis-py 8": [
        ("HELLO 3", HELLO_FIELDS),
        ("CLIENT MAINT_NOTIFICATIONS ON moving-endpoint-type internal-ip", SAME),
        ("CLIENT SETINFO LIB-NAME redis-py", NEWER), ("CLIENT SETINFO LIB-VER 8.0.0", NEWER),
        "SELECT 0", "GET k"],
    "redis-py 8 with a password": [
        ("HELLO 3 AUTH default secret", HELLO_FIELDS), ("CLIENT SETINFO LIB-NAME redis-py", NEWER),
        "GET k"],
    "ioredis": [("INFO", fields("redis_version", "loading", "role")), "SELECT 0",
                "CLIENT SETNAME a",
                ("CLIENT SETINFO LIB-NAME ioredis", NEWER),
                ("CLIENT SETINFO LIB-VER 5.4.1", NEWER), "GET k"],
    "ioredis with a password": ["AUTH secret", ("INFO", fields("redis_version", "loading")),
                                "GET k"],
    "node-redis": [("HELLO 3", HELLO_FIELDS), "CLIENT SETNAME app",
                   ("CLIENT SETINFO LIB-NAME node-redis", NEWER),
                   ("CLIENT SETINFO LIB-VER 6.0.0", NEWER),
                   ("CLIENT MAINT_NOTIFICATIONS ON moving-endpoint-type none", SAME), "GET k"],
    "node-redis with a password": [("HELLO 3 AUTH default secret SETNAME app", HELLO_FIELDS),
                                   "CLIENT GETNAME", "GET k"],
    "Jedis": [("HELLO 3", HELLO_FIELDS), "CLIENT SETNAME app",
              ("CLIENT SETINFO LIB-NAME jedis", NEWER), ("CLIENT SETINFO LIB-VER 6.2.0", NEWER),
              "SELECT 1", "GET k"],
    "Jedis with a password": [("HELLO 3 AUTH default secret SETNAME app", HELLO_FIELDS),
                              "CLIENT GETNAME", "GET k"],
    "Lettuce": [("HELLO 3", HELLO_FIELDS), "CLIENT SETNAME app",
                ("CLIENT SETINFO lib-name Lettuce", NEWER),
                ("CLIENT SETINFO lib-ver 6.5.0.RELEASE", NEWER),
                ("CLIENT MAINT_NOTIFICATIONS on moving-endpoint-type none", SAME),
                "SELECT 0", "PING"],
    "go-redis": [("HELLO 3", HELLO_FIELDS),
                 ("CLIENT SETINFO LIB-NAME go-redis(,go1.23)", NEWER),
                 ("CLIENT SETINFO LIB-VER 9.7.0", NEWER),
                 ("CLIENT MAINT_NOTIFICATIONS ON moving-endpoint-type external-ip", SAME),
                 "SELECT 3", "READONLY", "GET k"],
    "go-redis with a password": [("HELLO 3 AUTH default secret SETNAME app", HELLO_FIELDS),
                                 ("CLIENT SETINFO LIB-NAME go-redis", NEWER), "GET k"],
    "redis-rb": [("HELLO 3", HELLO_FIELDS), "CLIENT SETNAME app",
                 ("CLIENT SETINFO LIB-NAME redis-client", NEWER), "SELECT 0", "GET k"],
    "StackExchange.Redis": [
        "CLIENT SETNAME app(SE.Redis-v2.8.0)", ("CLIENT SETINFO LIB-NAME SE.Redis", NEWER),
        ("CLIENT ID", KIND), "CONFIG GET timeout", "CONFIG GET slave-read-only",
        "CONFIG GET databases", ("INFO replication", fields("role", "connected_slaves")),
        ("INFO server", fields("redis_version", "redis_mode", "run_id")), "SENTINEL MASTERS",
        "CLUSTER NODES", "GET __Booksleeve_TieBreak", "ECHO \x01\x02\x03\xff",
        "SUBSCRIBE __Booksleeve_MasterChanged", "PING", "UNSUBSCRIBE __Booksleeve_MasterChanged"],
    "StackExchange.Redis 3": [
        ("HELLO 3 SETNAME app", HELLO_FIELDS), "CONFIG GET timeout", "CONFIG GET slave-read-only",
        "CONFIG GET databases", ("INFO server", fields("redis_version")), "CLUSTER NODES",
        "SUBSCRIBE __Booksleeve_MasterChanged", "GET __Booksleeve_TieBreak"],
    "phpredis": ["PING", "SELECT 4", "CLIENT SETNAME app", "SET PHPREDIS_SESSION:a b EX 1440",
                 "GET PHPREDIS_SESSION:a"],
    "phpredis with a password": ["AUTH secret", "AUTH default secret", "SELECT 0", "PING"],
    "redis_exporter": [
        "CLIENT SETNAME redis_exporter",
        ("INFO ALL", fields("redis_version", "connected_clients", "used_memory", "maxmemory_policy",
                            "rdb_last_save_time", "total_commands_processed", "role",
                            "used_cpu_sys", "cluster_enabled", "blocked_clients")),
        ("CONFIG GET *", fields("maxmemory", "maxmemory-policy", "databases", "save",
                                "appendonly", "hash-max-listpack-entries")),
        "SLOWLOG LEN", "SLOWLOG GET 1", "LATENCY LATEST", ("LATENCY HISTOGRAM", KIND),
        "CLUSTER INFO", ("CLIENT LIST", KIND), "MODULE LIST", "ACL WHOAMI", "PING"],
    "Sidekiq and Rails": [("INFO", fields("redis_version", "maxmemory_policy", "db0")),
                          "SET k v", "EXPIRE k 100 NX", "EXPIRE k 100 NX"],
    "Symfony": [("INFO memory", fields("maxmemory_policy", "used_memory")),
                ("INFO server", fields("redis_version"))],
    "what any may add": [
        "READONLY", "READWRITE", "CLIENT NO-EVICT ON", "CLIENT NO-EVICT OFF",
        ("CLIENT NO-TOUCH ON", NEWER), "CLIENT REPLY ON", "HELLO 4", ("HELLO 2", HELLO_FIELDS),
        ("COMMAND COUNT", KIND), ("COMMAND DOCS get", KIND), "ASKING",
        "CLIENT CAPA redirect", "CLIENT IMPORT-SOURCE ON", "MEMORY HELP", "RESET", "PING"],
}


def split(text):
    return [w.encode("latin-1") for w in text.split(" ")]


def play(address, steps):
    """One reply a step, pushes included."""
    with Conn(address) as conn:
        out = []
        for step in steps:
            conn.send(encode(*split(step if isinstance(step, str) else step[0])))
            out.append(conn.take())
        return out


def names(value):
    if isinstance(value, bytes):
        return set(re.findall(rb"^(\w+):", value, re.M))
    if isinstance(value, (Map, list)):
        return {n.encode() if isinstance(n, str) else n for n in flat_map(value)}
    return set()


def difference(step, want, got):
    """What is wrong with larder's reply to a step; None: nothing."""
    mark = SAME if isinstance(step, str) else step[1]
    if mark == SAME:
        fine = want.raw == got.raw
    elif mark == KIND:
        fine = type(want.value) is type(got.value) and not isinstance(got.value, Error)
    elif mark == NEWER:
        fine = isinstance(want.value, Error) and got.value == OK
    else:
        fine = want.raw[:1] == got.raw[:1] and set(mark) <= names(want.value) & names(got.value)
    return None if fine else f"{step}: redis {want.raw[:300]!r}, larder {got.raw[:300]!r}"


def compare(redis, larder, name):
    steps = HANDSHAKES[name]
    direct, through = play(redis.address, steps), play(larder.address, steps)
    wrong = [difference(*three) for three in zip(steps, direct, through)]
    assert not any(wrong), "\n".join(w for w in wrong if w)


@pytest.mark.parametrize("name", [n for n in HANDSHAKES if "password" not in n])
def test_handshake(name, redis, pair):
    for server in (redis, pair.larder):
        server.once("SET", "k0", "v")       # a database for INFO keyspace
        server.once("CONFIG", "RESETSTAT")
        server.once("SLOWLOG", "RESET")
    compare(redis, pair.larder, name)


@pytest.fixture(scope="module")
def locked():
    """redis-server with a password, and larder with the same one in front of another."""
    from support.servers import Larder, Redis
    redis, l2 = Redis("--requirepass", "secret"), Redis()
    larder = Larder(l2, "--requirepass", "secret")
    yield redis, larder
    larder.stop()
    for server in (larder, redis, l2):
        server.discard()


@pytest.mark.parametrize("name", [n for n in HANDSHAKES if "password" in n])
def test_handshake_with_a_password(name, locked):
    compare(*locked, name)


def test_a_handshake_in_one_packet(redis, pair):
    """Lettuce and go-redis send theirs as a pipeline."""
    words = ["HELLO 3", "CLIENT SETINFO LIB-NAME x", "CLIENT SETNAME app", "SELECT 1",
             "SUBSCRIBE c", "GET k", "PING"]
    kinds = []
    for server in (redis, pair.larder):
        with server.conn() as conn:
            conn.send(b"".join(encode(*split(w)) for w in words))
            got = [conn.take().value for _ in words]
        assert isinstance(got[4], Push) or any(isinstance(v, Push) for v in got)
        kinds.append([v for v in got[2:] if not isinstance(v, Push)])
    assert kinds[0] == kinds[1]
