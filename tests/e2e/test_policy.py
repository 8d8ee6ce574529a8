"""Policies of key prefixes: the command CACHE POLICY, the directive `policy`, and what CONFIG shows
and keeps of them. What they do to answers is tested where answers are."""

import subprocess

import pytest

from support.resp import OK, Error, Map, encode, flat_map
from support.servers import larder_path

PROPERTIES = ["mode", "ttl", "ttl-jitter", "negative-ttl", "stale-while-revalidate",
              "stale-if-error", "early-refresh", "max-item", "write-allocate", "l2-ttl-factor"]


def described(reply):
    return {k: v.decode() for k, v in flat_map(reply).items()}


def policies(conn):
    """CACHE POLICY LIST: prefix -> fields."""
    got = [described(one) for one in conn("CACHE", "POLICY", "LIST")]
    return {one["prefix"]: one for one in got}


def policy(conn, key):
    return described(conn("CACHE", "POLICY", "GET", key))


def in_l1(conn, *keys):
    return [flat_map(conn("CACHE", "EXPLAIN", key))["tier"] == b"L1" for key in keys]


# Listing

@pytest.mark.parametrize("proto", (2, 3))
def test_list_and_get(proto, new_redis, new_larder):
    larder = new_larder(new_redis(), "--l1-ttl", 60, "--stale-if-error", 600, "--policy",
                        "user: ttl=90", "--policy", "user:1: mode=observe early-refresh=1.50")
    with larder.conn(proto) as conn:
        replies = conn("CACHE", "POLICY", "LIST")
        assert all(isinstance(one, Map if proto == 3 else list) for one in replies)
        assert [described(one)["prefix"] for one in replies] == ["", "user:", "user:1:"]
        got = policies(conn)
        for one in got.values():
            assert list(one) == ["prefix"] + PROPERTIES + ["words"]
        assert got[""] == {
            "prefix": "", "mode": "cache", "ttl": "1m", "ttl-jitter": "10", "negative-ttl": "-1",
            "stale-while-revalidate": "0", "stale-if-error": "10m", "early-refresh": "0",
            "max-item": "0", "write-allocate": "no", "l2-ttl-factor": "1", "words": ""}
        assert got["user:"] == {**got[""], "prefix": "user:", "ttl": "90s", "words": "ttl=90s"}
        # The default is what a prefix leaves out, not a shorter prefix.
        assert got["user:1:"] == {
            **got[""], "prefix": "user:1:", "mode": "observe", "early-refresh": "1.5",
            "words": "mode=observe early-refresh=1.5"}
        assert policy(conn, "user:2") == got["user:"]
        assert policy(conn, "user:1:x") == got["user:1:"]
        assert policy(conn, "use") == policy(conn, "") == got[""]


def test_prefixes_left_out_follow_the_directives(new_redis, new_larder):
    larder = new_larder(new_redis(), "--policy", "p: ttl=5 mode=deny")
    with larder.conn() as conn:
        assert conn("CONFIG", "SET", "l1-ttl", 7, "l1-ttl-jitter", 0, "l1-negative-ttl", 0,
                    "stale-while-revalidate", 1, "stale-if-error", 3600, "early-refresh", "0.5",
                    "l1-max-item", "1mb", "write-allocate", "yes", "l2-ttl-factor", 3) == OK
        got = policies(conn)
        assert got[""] == {
            "prefix": "", "mode": "cache", "ttl": "7s", "ttl-jitter": "0", "negative-ttl": "0",
            "stale-while-revalidate": "1s", "stale-if-error": "1h", "early-refresh": "0.5",
            "max-item": "1mb", "write-allocate": "yes", "l2-ttl-factor": "3", "words": ""}
        assert got["p:"] == {**got[""], "prefix": "p:", "mode": "deny", "ttl": "5s",
                             "words": "mode=deny ttl=5s"}


# Changing

def test_set_and_del(new_redis, new_larder):
    larder = new_larder(new_redis())
    with larder.conn() as conn:
        assert conn("CACHE", "POLICY", "SET", "a", "TTL=30", "mode=Observe") == OK
        assert conn("CACHE", "POLICY", "SET", "a:b", "stale-if-error=1d") == OK
        assert conn("CACHE", "POLICY", "SET", "a", "max-item=64kb", "mode=default") == OK
        assert policy(conn, "a:c")["words"] == "ttl=30s max-item=64kb"
        assert policy(conn, "a:bc")["words"] == "stale-if-error=1d"
        assert conn("CACHE", "POLICY", "SET", "a", "max-item=default", "ttl=default") == OK
        assert policy(conn, "a:c")["prefix"] == "a"
        assert policy(conn, "a:c")["words"] == "mode=default"
        assert conn("CACHE", "POLICY", "DEL", "a:b") == 1
        assert conn("CACHE", "POLICY", "DEL", "a:b") == 0
        assert conn("CACHE", "POLICY", "DEL", "") == 0
        assert list(policies(conn)) == ["", "a"]
        assert policy(conn, "a:bc")["prefix"] == "a"


def test_binary_prefixes(new_redis, new_larder):
    larder = new_larder(new_redis())
    with larder.conn() as conn:
        assert conn("CACHE", "POLICY", "SET", b"\x00\xff\r\n", "mode=deny") == OK
        got = flat_map(conn("CACHE", "POLICY", "GET", b"\x00\xff\r\nkey"))
        assert got["prefix"] == b"\x00\xff\r\n" and got["mode"] == b"deny"
        assert flat_map(conn("CACHE", "POLICY", "GET", b"\x00\xff\r"))["mode"] == b"cache"
        assert conn("CONFIG", "GET", "policy") == [b"policy", rb'"\x00\xff\r\n" mode=deny']
        assert conn("CACHE", "POLICY", "DEL", b"\x00\xff\r\n") == 1


def fill(conn, *keys):
    for key in keys:
        conn("GET", key)
    assert all(in_l1(conn, *keys))


@pytest.mark.parametrize("change", (("SET", "a:", "ttl=50s"), ("DEL", "a:")), ids=lambda c: c[0])
def test_a_change_drops_what_was_kept(change, new_redis, new_larder):
    """Strings, absent keys and cached replies, in all databases, and nothing else."""
    l2 = new_redis()
    larder = new_larder(l2, "--policy", "a: ttl=40s")
    with larder.conn() as conn:
        conn("HSET", "a:hash", "f", "v")
        conn("HSET", "hash", "f", "v")
        conn("MSET", "a:1", "v", "a:2", "v", "b", "v")
        for _ in range(2):
            conn("HGETALL", "a:hash")
            conn("HGETALL", "hash")
        fill(conn, "a:1", "a:none", "b", "a")
        conn("SELECT", 5)
        fill(conn, "a:1", "b")
        assert conn("CACHE", "POLICY", *change) == (OK if change[0] == "SET" else 1)
        assert in_l1(conn, "a:1", "b") == [False, True]
        conn("SELECT", 0)
        assert in_l1(conn, "a:1", "a:none", "a:hash", "b", "a", "hash") == [False] * 3 + [True] * 3
        before = l2.calls("hgetall")
        assert flat_map(conn("HGETALL", "a:hash")) == {"f": b"v"}
        assert l2.calls("hgetall") == before + 1


def test_a_change_that_changes_nothing_says_so_and_drops_nothing(new_redis, new_larder):
    larder = new_larder(new_redis())
    with larder.conn() as conn:
        fill(conn, "a:1")
        assert conn("CACHE", "POLICY", "DEL", "a:") == 0
        assert conn("CACHE", "POLICY", "SET", "a:", "ttl=x").startswith(b"ERR ttl must be a time")
        assert in_l1(conn, "a:1") == [True]


def test_a_change_in_a_large_store(new_redis, new_larder):
    """In slices: the answer comes when all are gone, and others are answered meanwhile."""
    l2 = new_redis()
    larder = new_larder(l2)
    keys = [f"{'odd' if i % 2 else 'even'}:{i}" for i in range(60000)]
    with larder.conn() as conn, larder.conn() as other:
        for part in range(0, len(keys), 5000):
            conn("MGET", *keys[part:part + 5000])
        conn.send(encode("CACHE", "POLICY", "SET", "odd:", "mode=observe") + encode("PING"))
        assert other("PING") == b"PONG"
        assert conn.read(20.0).value == OK
        assert conn.read().value == b"PONG"
        assert in_l1(conn, *keys[1::2]) == [False] * 30000
        assert all(in_l1(conn, *keys[::2]))
        assert conn("CACHE", "POLICY", "DEL", "odd:") == 1


ERRORS = [
    (("SET", "p", "tll=5"), "ERR unknown property 'tll' of a policy (did you mean ttl?)"),
    (("SET", "p", "ttl"), "ERR 'ttl' is not of the form name=value"),
    (("SET", "p", "ttl=5", "mode=x"), "ERR mode must be cache, observe or deny; not 'x'"),
    (("SET", "p", "ttl=5", "ttl=6"), "ERR ttl is given twice"),
    (("SET", "p", "ttl=\r\n+OK"), "ERR ttl must be a time such as 500ms, 30s, 5m, 2h or 1d, up to "
                                  "3650d; 0: no cap; not '??+OK'"),
    (("SET", "", "ttl=5"), "ERR the prefix is empty (the default policy is made by directives)"),
    (("SET", "ttl=5", "mode=deny"), "ERR the prefix is missing, it comes before name=value"),
    (("SET", "x" * 513, "ttl=5"), "ERR a prefix may have 512 bytes at most"),
    (("SET", "p"), "ERR wrong number of arguments for 'cache|policy' command"),
    (("SET",), "ERR wrong number of arguments for 'cache|policy' command"),
    (("DEL",), "ERR wrong number of arguments for 'cache|policy' command"),
    (("DEL", "p", "q"), "ERR wrong number of arguments for 'cache|policy' command"),
    (("GET",), "ERR wrong number of arguments for 'cache|policy' command"),
    (("LIST", "p"), "ERR wrong number of arguments for 'cache|policy' command"),
    (("NOSUCH",), "ERR unknown subcommand 'NOSUCH'. Try CACHE POLICY HELP."),
]


def test_errors_change_nothing(new_redis, new_larder):
    larder = new_larder(new_redis(), "--policy", "p ttl=7")
    with larder.conn() as conn:
        before = policies(conn)
        for words, message in ERRORS:
            got = conn("CACHE", "POLICY", *words)
            assert isinstance(got, Error) and got.decode() == message, words
        assert policies(conn) == before
        assert conn("CACHE", "POLICY").startswith(b"ERR wrong number of arguments")


def test_a_thousand_prefixes(new_redis, new_larder):
    larder = new_larder(new_redis())
    with larder.conn() as conn:
        got = conn.pipeline([("CACHE", "POLICY", "SET", f"p:{i}:", f"ttl={i + 1}")
                             for i in range(1000)])
        assert all(reply == OK for reply in got)
        assert conn("CACHE", "POLICY", "SET", "q", "ttl=5") == \
            b"ERR there are 1000 policies already, as many as there can be"
        assert policy(conn, "p:77:x")["ttl"] == "78s"
        assert len(policies(conn)) == 1001


def test_help_names_every_property(pair):
    with pair.larder.conn() as conn:
        lines = [line.decode() for line in conn("CACHE", "POLICY", "HELP")]
        for word in ["LIST", "GET key", "SET prefix", "DEL prefix"] + PROPERTIES:
            assert any(word in line for line in lines), word
        assert b"POLICY LIST | GET key | SET prefix name=value [name=value ...] | DEL prefix | HELP" \
            in conn("CACHE", "HELP")


def test_alone(alone):
    """Without an upstream a change would drop what can't be fetched again."""
    with alone.larder.conn() as conn:
        conn("SET", "a:1", "v")
        for words in (("SET", "a:", "ttl=5"), ("DEL", "a:")):
            assert conn("CACHE", "POLICY", *words) == \
                b"ERR there is no upstream, policies are for what is kept of one"
        assert list(policies(conn)) == [""]
        assert conn("GET", "a:1") == b"v"


# Configuration

def check(tmp_path, *lines):
    """larder --check-config of a file: (status, what it said)."""
    path = tmp_path / "larder.conf"
    path.write_text("".join(f"{line}\n" for line in lines))
    done = subprocess.run([larder_path(), path, "--check-config"], capture_output=True, text=True,
                          timeout=20, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("line,message", [
    ("policy a: tll=5", "unknown property 'tll' of a policy (did you mean ttl?)"),
    ("policy a: ttl=5w", "ttl must be a time such as 500ms, 30s, 5m, 2h or 1d, up to 3650d"),
    ("policy a:", "a policy needs at least one name=value"),
    ("policy ttl=5 mode=deny", "the prefix is missing, it comes before name=value"),
    ("early-refresh 1e3", '"1e3" is not a decimal number from 0 to 100'),
    ("l1-ttl-jitter 101", '"101" is not a whole number from 0 to 100'),
])
def test_a_mistake_in_the_file(line, message, tmp_path):
    status, text = check(tmp_path, "# policies", line, "policy b ttl=5")
    assert status == 1
    assert f"larder.conf:2: {line.split()[0]}: {message}" in text
    assert len(text.strip().splitlines()) == 1


def test_rewrite_keeps_what_is_in_force(tmp_path, new_redis, new_larder):
    path = tmp_path / "larder.conf"
    path.write_text("# mine\npolicy a: ttl=1\n# of b\npolicy b: ttl=2 mode=deny\n"
                    "policy \"c d\" 'ttl=3'\n")
    l2 = new_redis()
    larder = new_larder(l2, conf=path)
    with larder.conn() as conn:
        assert conn("CONFIG", "GET", "policy") == \
            [b"policy", b'a: ttl=1s\nb: mode=deny ttl=2s\n"c d" ttl=3s']
        got = conn("CONFIG", "SET", "policy", "x: ttl=5")
        assert got == (b"ERR CONFIG SET failed (possibly related to argument 'policy') - use CACHE "
                       b"POLICY SET and CACHE POLICY DEL")
        assert conn("CACHE", "POLICY", "DEL", "b:") == 1
        assert conn("CACHE", "POLICY", "SET", "a:", "stale-if-error=2h") == OK
        assert conn("CACHE", "POLICY", "SET", "e", "l2-ttl-factor=1.25") == OK
        in_force = policies(conn)
        assert conn("CONFIG", "REWRITE") == OK
    text = path.read_text()
    assert "# mine\npolicy a: ttl=1s stale-if-error=2h\n# of b\n" in text
    assert 'policy "c d" ttl=3s\n' in text
    assert "policy e l2-ttl-factor=1.25\n" in text.split("# Generated by CONFIG REWRITE")[1]
    assert "b:" not in text
    larder.stop()
    larder.start()
    with larder.conn() as conn:
        assert policies(conn) == in_force
