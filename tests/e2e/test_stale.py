"""What each property of a policy does to reads: how long L1 keeps and answers, what it may answer when that
is over, and when L2 can't be asked. Lines and replies of CACHE POLICY are test_policy.py's; properties
that are about writes are test_write_policies.py's."""

import itertools
import signal
import time

import pytest

from support.seen import (WAIT, becomes, explain, idle, is_upstream_error, l1, l2_figure,
                              state)
from support.resp import NIL, OK, Error, encode, flat_map, poll

# How to write a value of each type, the read that L1 keeps of it, and its reply.
READS = {
    "GET": (lambda key, v: ("SET", key, v), lambda key: ("GET", key), lambda v: v),
    "HGETALL": (lambda key, v: ("HSET", key, "f", v), lambda key: ("HGETALL", key),
                lambda v: [b"f", v]),
    "ZRANGE": (lambda key, v: ("ZADD", key, 1, v), lambda key: ("ZRANGE", key, 0, -1, "WITHSCORES"),
               lambda v: [v, b"1"]),
    "LRANGE": (lambda key, v: ("RPUSH", key, v), lambda key: ("LRANGE", key, 0, -1), lambda v: [v]),
}
OLD, NEW = b"old", b"new"


@pytest.fixture(params=READS)
def kind(request):
    return request.param


def prepare(direct, kind, key):
    """The key has OLD in database 0 and NEW in 1. SWAPDB, of which L2 tells nobody, makes it NEW."""
    write, _, _ = READS[kind]
    direct("SELECT", 1)
    direct(*write(key, NEW))
    direct("SELECT", 0)
    direct(*write(key, OLD))


def read(conn, kind, key):
    return conn(*READS[kind][1](key))


def reply(kind, value):
    return READS[kind][2](value)


# How long L1 keeps

def test_ttl_ends_a_value(kind, new_redis, new_larder):
    l2 = new_redis()
    larder = new_larder(l2, "--policy", "short: ttl=300ms ttl-jitter=0", "--policy", "long: ttl=1h")
    with l2.conn() as direct, larder.conn() as conn:
        for key in ("short:k", "long:k"):
            prepare(direct, kind, key)
            assert read(conn, kind, key) == reply(kind, OLD)
            assert state(conn, key) == "fresh" or key == "short:k"
        assert explain(conn, "short:k").get("ttl_ms", 0) <= 300
        direct("SWAPDB", 0, 1)
        poll(lambda: read(conn, kind, "short:k") == reply(kind, NEW), WAIT)
        before = l2.calls(kind)
        assert read(conn, kind, "long:k") == reply(kind, OLD)
        assert l2.calls(kind) == before


def test_ttl_jitter_spreads_below_the_cap(new_redis, new_larder):
    l2 = new_redis()
    larder = new_larder(l2, "--policy", "wide: ttl=1000s ttl-jitter=50",
                        "--policy", "exact: ttl=1000s ttl-jitter=0")
    with larder.conn() as conn:
        left = {}
        for prefix in ("wide:", "exact:"):
            keys = [prefix + str(i) for i in range(200)]
            conn("MGET", *keys)
            left[prefix] = [explain(conn, key)["ttl_ms"] for key in keys]
        assert max(left["wide:"]) <= 1_000_000 and min(left["wide:"]) > 450_000
        assert max(left["wide:"]) - min(left["wide:"]) > 250_000, "two hundred lots of 500 s"
        assert all(950_000 < ms <= 1_000_000 for ms in left["exact:"])


def test_ttl_jitter_leaves_the_keys_own_deadline(new_redis, new_larder):
    l2 = new_redis()
    larder = new_larder(l2, "--policy", "p: ttl=1000s ttl-jitter=50")
    with l2.conn() as direct, larder.conn() as conn:
        for i in range(50):
            direct("SET", f"p:{i}", "v", "PX", 400_000)
            conn("GET", f"p:{i}")
            seen = explain(conn, f"p:{i}")
            assert 350_000 < seen["ttl_ms"] <= 400_000 and seen["deadline"] == "key"


def test_negative_ttl(new_redis, new_larder):
    l2 = new_redis()
    larder = new_larder(l2, "--l1-ttl-jitter", 0, "--policy", "never: negative-ttl=0",
                        "--policy", "short: negative-ttl=300ms", "--policy", "as: ttl=1000s")
    with larder.conn() as conn:
        for i in range(1, 4):
            assert conn("GET", "never:k") is NIL
            assert l2.calls("get") == i, "a missing key is asked for each time"
            assert conn("HGETALL", "never:k") == []
            assert l2.calls("hgetall") == i
        assert state(conn, "never:k") == "none"
        conn("SET", "never:there", "v")
        assert conn("GET", "never:there") == b"v" and state(conn, "never:there") == "fresh"
        assert conn("GET", "short:k") is NIL
        assert explain(conn, "short:k").get("ttl_ms", 0) <= 300
        before = l2.calls("get")
        poll(lambda: conn("GET", "short:k") is NIL and l2.calls("get") > before, WAIT)
        assert conn("GET", "as:k") is NIL
        assert explain(conn, "as:k")["ttl_ms"] > 950_000
        assert explain(conn, "as:k")["kind"] == "absent"


def test_max_item(new_redis, new_larder):
    l2 = new_redis()
    larder = new_larder(l2, "--policy", "p: max-item=1kb")
    with l2.conn() as direct, larder.conn() as conn:
        direct("MSET", "p:fits", "x" * 1024, "p:not", "x" * 1025, "other", "x" * 5000)
        direct("RPUSH", "p:list", "x" * 2000)
        for _ in range(3):
            assert [len(v) for v in conn("MGET", "p:fits", "p:not", "other")] == [1024, 1025, 5000]
            assert len(conn("LRANGE", "p:list", 0, -1)[0]) == 2000
        assert [state(conn, key) for key in ("p:fits", "p:not", "other", "p:list")] == \
            ["fresh", "none", "fresh", "none"]
        assert l1(conn, "fills_refused") == 6
        assert l2.calls("lrange") == 3


# Modes

def test_observe(kind, new_redis, new_larder):
    """L2 answers each read, L1 counts those that it could have answered, and drops what changes."""
    l2 = new_redis()
    larder = new_larder(l2, "--policy", "p: mode=observe")
    write, _, _ = READS[kind]
    with l2.conn() as direct, larder.conn() as conn:
        for i in range(1, 21):
            value = b"%d" % i
            direct("DEL", "p:k")
            direct(*write("p:k", value))
            assert read(conn, kind, "p:k") == reply(kind, value), "a direct write is seen at once"
        assert l2.calls(kind) == 20
        poll(lambda: state(conn, "p:k") != "none", WAIT)
        before = l1(conn, "observed_hits")
        hits = l1(conn, "hits")
        for _ in range(10):
            assert read(conn, kind, "p:k") == reply(kind, b"20")
        assert l2.calls(kind) == 30
        assert l1(conn, "observed_hits") == before + 10
        assert l1(conn, "hits") == hits
        direct("DEL", "p:k")
        poll(lambda: state(conn, "p:k") == "none", WAIT)


def test_deny(kind, new_redis, new_larder):
    l2 = new_redis()
    larder = new_larder(l2, "--policy", "p: mode=deny write-allocate=yes stale-if-error=1h")
    with l2.conn() as direct, larder.conn() as conn:
        prepare(direct, kind, "p:k")
        for _ in range(10):
            assert read(conn, kind, "p:k") == reply(kind, OLD)
        assert l2.calls(kind) == 10
        assert l1(conn, "denied") >= 10
        conn("SET", "p:set", "v")
        for key in ("p:k", "p:set"):
            seen = explain(conn, key)
            assert seen["tier"] == "none" and "deny" in seen["reason"]
        assert l1(conn, "size") == 0
        l2.kill()
        poll(lambda: is_upstream_error(read(conn, kind, "p:k")), WAIT)


# Stale while revalidate

@pytest.fixture
def swr(kind, new_redis, new_larder, new_proxy):
    """A larder behind a proxy, whose L1 has OLD of p:k, stale, while L2 has NEW."""
    l2 = new_redis()
    proxy = new_proxy(l2)
    larder = new_larder(proxy.upstream_value(), "--upstream-timeout", 20000, "--policy",
                        "p: ttl=300ms ttl-jitter=0 stale-while-revalidate=1h")
    larder.linked()
    larder.l2, larder.proxy = l2, proxy
    with l2.conn() as direct, larder.conn() as conn:
        prepare(direct, kind, "p:k")
        assert read(conn, kind, "p:k") == reply(kind, OLD)
        direct("SWAPDB", 0, 1)
        becomes(conn, "p:k", "stale")
    return larder


def test_stale_while_revalidate(kind, swr):
    """Many readers at once: the old value without waiting, one fetch, the new value behind it."""
    conns = [swr.conn() for _ in range(50)]
    before = swr.l2.calls(kind)
    swr.proxy("freeze")
    for conn in conns:
        conn.send(encode(*READS[kind][1]("p:k")))
    for conn in conns:
        assert conn.read().value == reply(kind, OLD), "L2 is silent, nobody waits for it"
    assert l1(conns[0], "stale_while_revalidate") == 50
    assert l1(conns[0], "stale_served") == 50
    swr.proxy("thaw")
    idle(conns[0])
    assert swr.l2.calls(kind) == before + 1
    assert read(conns[0], kind, "p:k") == reply(kind, NEW)
    for conn in conns:
        conn.close()


def test_no_stale_value_after_an_own_write(kind, swr):
    """Neither while the write is under way nor behind it."""
    write, _, _ = READS[kind]
    with swr.conn() as writer, swr.conn() as reader:
        swr.proxy("freeze")
        writer.send(encode("DEL", "p:k") + encode(*write("p:k", b"mine")))
        poll(lambda: state(reader, "p:k") == "none", WAIT)
        reader.send(encode(*READS[kind][1]("p:k")))
        assert reader.quiet(0.2) == (b"", False)
        swr.proxy("thaw")
        assert writer.read().value == 1
        writer.read()
        assert reader.read().value == reply(kind, b"mine")
        assert l1(reader, "stale_while_revalidate") == 0


def test_no_stale_value_after_a_refresh_was_overtaken(kind, swr):
    """A refresh that was sent before a write brings nothing back."""
    write, _, _ = READS[kind]
    with swr.conn() as conn:
        swr.proxy("freeze")
        assert read(conn, kind, "p:k") == reply(kind, OLD)
        conn.send(encode("DEL", "p:k") + encode(*write("p:k", b"mine"))
                  + encode(*READS[kind][1]("p:k")))
        swr.proxy("thaw")
        conn.read(), conn.read()
        assert conn.read().value == reply(kind, b"mine")
        assert read(conn, kind, "p:k") == reply(kind, b"mine")


def test_no_stale_value_after_a_push(kind, swr):
    write, _, _ = READS[kind]
    with swr.conn() as conn, swr.l2.conn() as direct:
        direct("DEL", "p:k")
        direct(*write("p:k", b"theirs"))
        poll(lambda: explain(conn, "p:k")["last_drop"] == "invalidation", WAIT)
        assert read(conn, kind, "p:k") == reply(kind, b"theirs")
        assert l1(conn, "stale_while_revalidate") == 0


def test_the_window_of_stale_while_revalidate_ends(kind, new_redis, new_larder):
    l2 = new_redis()
    larder = new_larder(l2, "--policy", "p: ttl=100ms stale-while-revalidate=200ms")
    with l2.conn() as direct, larder.conn() as conn:
        prepare(direct, kind, "p:k")
        read(conn, kind, "p:k")
        direct("SWAPDB", 0, 1)
        becomes(conn, "p:k", "none", "useless")
        assert read(conn, kind, "p:k") == reply(kind, NEW)
        assert l1(conn, "stale_served") == 0


# Stale if error

SIE = ("--policy", "p: ttl=1s ttl-jitter=0 stale-if-error=1h")
FAST = ("--upstream-ping-interval", "100", "--upstream-timeout", "500")

# What is put at L2, the reads that larder is asked, and what they answer.
PUT = [("SET", "p:s", "string"), ("HSET", "p:h", "f", "v"), ("ZADD", "p:z", 1, "m"),
       ("RPUSH", "p:l", "a", "b"), ("SADD", "p:set", "m")]
ASKED = {
    ("GET", "p:s"): b"string", ("MGET", "p:s", "p:none"): [b"string", NIL],
    ("STRLEN", "p:s"): 6, ("EXISTS", "p:s"): 1, ("TYPE", "p:s"): b"string",
    ("GETRANGE", "p:s", 0, 2): b"str", ("EXISTS", "p:s", "p:none"): 1,
    ("GET", "p:none"): NIL, ("HGETALL", "p:h"): [b"f", b"v"], ("HGET", "p:h", "f"): b"v",
    ("HGET", "p:h", "none"): NIL, ("ZRANGE", "p:z", 0, -1): [b"m"], ("ZSCORE", "p:z", "m"): b"1",
    ("LRANGE", "p:l", 0, -1): [b"a", b"b"], ("LLEN", "p:l"): 2, ("SMEMBERS", "p:set"): [b"m"],
    ("HGETALL", "p:none"): [],
}


def ask_all(conn):
    for command, expected in ASKED.items():
        assert conn(*command) == expected, command


@pytest.fixture
def sie(new_redis, new_larder):
    """A larder whose L1 knows all that is asked, and an L2 that has it."""
    l2 = new_redis("--replica-serve-stale-data", "no", "--busy-reply-threshold", "50")
    larder = new_larder(l2, *FAST, *SIE)
    larder.l2 = l2
    with larder.conn() as conn:
        for command in PUT:
            conn(*command)
        conn("SET", "other", "v")
        ask_all(conn)
        assert conn("GET", "other") == b"v"
    return larder


def killed(larder):
    larder.l2.kill()


def stopped(larder):
    larder.l2.signal(signal.SIGSTOP)


def replica_without_primary(larder):
    """Answers MASTERDOWN, and keeps what it has."""
    larder.l2.once("REPLICAOF", "127.0.0.1", 1)


def runs_a_script(larder):
    """Answers BUSY, on the link as on all others."""
    larder.script = larder.l2.conn()
    larder.script.send(encode("EVAL", "while true do end", 0))


@pytest.fixture(params=[killed, stopped, replica_without_primary, runs_a_script],
                ids=lambda f: f.__name__)
def outage(request, sie):
    """sie, whose L2 can't be asked any more."""
    request.param(sie)
    with sie.conn() as conn:
        unknown = (f"unknown {i}" for i in itertools.count())
        poll(lambda: isinstance(conn("GET", next(unknown)), Error), WAIT)
        poll(lambda: conn("GET", "p:s") == b"string"
             and explain(conn, "p:s")["fresh_ms"] == 0, WAIT)
    yield sie
    if sie.l2.frozen:
        sie.l2.signal(signal.SIGCONT)


def test_stale_if_error(outage):
    with outage.conn(deadline=30) as conn:
        hits = l1(conn, "stale_while_revalidate")

        def all_are_stale():
            """Their times end one by one. Both MGET's and EXISTS's keys count, each for itself."""
            before = l1(conn, "stale_if_error")
            ask_all(conn)
            assert l1(conn, "stale_served") >= l1(conn, "stale_if_error")
            return l1(conn, "stale_if_error") >= before + len(ASKED)
        poll(all_are_stale, WAIT)
        assert l1(conn, "stale_while_revalidate") == hits == 0
        for command in (("GET", "p:unknown"), ("HGETALL", "p:unknown"), ("SET", "p:unknown", "v"),
                        ("HGET", "p:h", "unknown")):
            assert isinstance(conn(*command), Error), command


def test_without_the_policy_an_error(sie):
    killed(sie)
    with sie.conn() as conn:
        poll(lambda: is_upstream_error(conn("GET", "other")), WAIT)
        assert is_upstream_error(conn("MGET", "p:s", "other"))
        ask_all(conn)


OWN_WRITES = ((("SET", "p:s", "mine"), ("GET", "p:s")), (("DEL", "p:h"), ("HGETALL", "p:h")),
              (("SET", "p:none", "mine"), ("GET", "p:none")))


@pytest.mark.parametrize("outage", [replica_without_primary, runs_a_script], indirect=True,
                         ids=lambda f: f.__name__)
def test_an_own_write_that_l2_refuses(outage):
    """L2 has had it, so what was known before is no answer any more, or it was refused at once."""
    with outage.conn(deadline=30) as conn, outage.conn(deadline=30) as other:
        for write, reading in OWN_WRITES:
            assert other(*reading) == ASKED[reading]
            asked = l2_figure(conn, "commands")
            assert isinstance(conn(*write), Error)
            if l2_figure(conn, "commands") == asked:
                assert other(*reading) == ASKED[reading], "not even sent"
                continue
            for each in (conn, other):
                assert isinstance(each(*reading), Error), reading
        assert other("LLEN", "p:l") == 2


@pytest.mark.parametrize("outage", [killed, stopped], indirect=True, ids=lambda f: f.__name__)
def test_an_own_write_that_is_not_even_sent(outage):
    """It can't have run: the stale values stay what they were, and are answered."""
    with outage.conn(deadline=30) as conn:
        poll(lambda: l2_figure(conn, "breaker") != b"closed", WAIT)
        ask_all(conn)
        for write, _ in OWN_WRITES + ((("FLUSHALL",), None),):
            assert is_upstream_error(conn(*write)), write
        ask_all(conn)


def test_an_own_write_of_unknown_outcome(sie):
    """It may have run: what was known before is no answer any more."""
    stopped(sie)
    with sie.conn(deadline=30) as conn, sie.conn(deadline=30) as other:
        assert is_upstream_error(conn("SET", "p:s", "mine"))
        for each in (conn, other):
            assert isinstance(each("GET", "p:s"), Error)
        assert other("HGETALL", "p:h") == ASKED[("HGETALL", "p:h")]
    sie.l2.signal(signal.SIGCONT)


def test_l2_answers_again(sie):
    """As soon as L2 answers, its answer counts: this one has come back empty."""
    killed(sie)
    with sie.conn() as conn:
        poll(lambda: l2_figure(conn, "state") != b"ready", WAIT)
        ask_all(conn)
        sie.l2.start()
        poll(lambda: conn("SET", "probe", "v") == OK, WAIT)
        before = l1(conn, "stale_served")
        assert conn("GET", "p:s") is NIL and conn("HGETALL", "p:h") == []
        assert conn("EXISTS", "p:s", "p:none") == 0
        assert l1(conn, "stale_served") == before


def test_the_window_of_stale_if_error_ends(new_redis, new_larder):
    l2 = new_redis()
    larder = new_larder(l2, *FAST, "--policy", "p: stale-if-error=2s", "--policy",
                        "q: stale-if-error=1h")
    with larder.conn() as conn:
        for prefix in ("p:", "q:"):
            conn("HSET", prefix + "h", "f", "v")
            conn("HGETALL", prefix + "h")
            conn("SET", prefix + "s", "v")
            conn("GET", prefix + "s")
        l2.kill()
        poll(lambda: l1(conn, "stale_if_error") > 0 or is_upstream_error(conn("GET", "p:s")), WAIT)
        poll(lambda: is_upstream_error(conn("GET", "p:s")), WAIT)
        poll(lambda: is_upstream_error(conn("HGETALL", "p:h")), WAIT)
        assert conn("GET", "q:s") == b"v" and conn("HGETALL", "q:h") == [b"f", b"v"]


# Early refresh

def test_early_refresh(kind, new_redis, new_larder, new_proxy):
    """A hot key's life goes on and on, and after the first reader nobody has waited."""
    l2 = new_redis()
    proxy = new_proxy(l2)
    larder = new_larder(proxy.upstream_value(),
                        "--policy", "p: ttl=2s ttl-jitter=0 early-refresh=10")
    larder.linked()
    with l2.conn() as direct, larder.conn() as conn:
        prepare(direct, kind, "p:k")
        proxy("delay", 25)          # so that a fetch costs 50 ms
        read(conn, kind, "p:k")
        before = l2.calls(kind)
        until = time.monotonic() + 3

        def goes_on():
            assert read(conn, kind, "p:k") == reply(kind, OLD)
            return time.monotonic() > until and l1(conn, "early_refreshes") >= 3
        poll(goes_on, WAIT)
        assert l1(conn, "misses") == 1, "the value was always there"
        assert l1(conn, "stale_served") == 0
        assert l2.calls(kind) >= before + 2
        direct("SWAPDB", 0, 1)
        poll(lambda: read(conn, kind, "p:k") == reply(kind, NEW), WAIT)


def test_no_early_refresh_without_an_end(new_redis, new_larder):
    l2 = new_redis()
    larder = new_larder(l2, "--policy", "p: ttl=0 early-refresh=100")
    with larder.conn() as conn:
        conn("SET", "p:k", "v")
        conn.pipeline([("GET", "p:k")] * 2000)
        assert l1(conn, "early_refreshes") == 0 and l2.calls("get") == 1
        assert flat_map(conn("CACHE", "EXPLAIN", "p:k"))["fresh_ms"] == -1


# What L2 has said since

CHANGED = {
    "a hash is gone, says GET": (("GET", "p:h"), NIL, ("HGETALL", "p:h")),
    "a hash is gone, says LLEN": (("LLEN", "p:h"), 0, ("HGETALL", "p:h")),
    "a string is gone, says HLEN": (("HLEN", "p:s"), 0, ("GET", "p:s")),
    "a string is gone, says EXISTS": (("EXISTS", "p:s"), 0, ("GET", "p:s")),
    "a hash is a string": (("GET", "p:to-string"), b"now", ("HGETALL", "p:to-string")),
    "a key has come, says EXISTS": (("EXISTS", "p:none"), 1, ("GET", "p:none")),
    "a key has come, says GET": (("GET", "p:none"), b"now", ("HGETALL", "p:none")),
    "a string is a hash": (("HLEN", "p:to-hash"), 1, ("GET", "p:to-hash")),
}


@pytest.mark.parametrize("name", CHANGED)
def test_no_stale_value_that_l2_has_contradicted(name, sie):
    """Two outages: what another read brought between them is known in the second."""
    asked, expected, outdated = CHANGED[name]
    with sie.conn() as conn:
        conn("HSET", "p:to-string", "f", "v")
        conn("SET", "p:to-hash", "v")
        conn("HGETALL", "p:to-string"), conn("GET", "p:to-hash")
        killed(sie)
        poll(lambda: l2_figure(conn, "state") != b"ready", WAIT)
        assert not is_upstream_error(conn(*outdated)), "known in the first outage"
        sie.l2.start()
        with sie.l2.conn() as direct:
            direct("MSET", "p:to-string", "now", "p:none", "now")
            direct("HSET", "p:to-hash", "f", "now")
        poll(lambda: conn("SET", "probe", "v") == OK, WAIT)
        assert conn(*asked) == expected
        killed(sie)
        poll(lambda: is_upstream_error(conn("SET", "probe", "v")), WAIT)
        assert conn(*asked) == expected
        assert is_upstream_error(conn(*outdated))
