"""When L2 can't be asked: upstream-fail-mode, fetches that are sent once more, the circuit breaker."""

import time

import pytest

from support.seen import WAIT, is_upstream_error, l1, l2_figure
from support.resp import NIL, OK, Error, encode, flat_map, poll
from support.stats import info

FAST = ("--upstream-ping-interval", "100", "--upstream-timeout", "500")

# Reads, and what they are of a key that does not exist.
MISSING = {
    ("GET", "none"): NIL, ("MGET", "none", "nothing"): [NIL, NIL], ("EXISTS", "none"): 0,
    ("EXISTS", "none", "nothing"): 0, ("STRLEN", "none"): 0, ("GETRANGE", "none", 0, -1): b"",
    ("TYPE", "none"): b"none", ("HGETALL", "none"): [], ("HGET", "none", "f"): NIL,
    ("HLEN", "none"): 0, ("LRANGE", "none", 0, -1): [], ("LLEN", "none"): 0,
    ("SMEMBERS", "none"): [], ("SISMEMBER", "none", "m"): 0, ("ZRANGE", "none", 0, -1): [],
    ("ZSCORE", "none", "m"): NIL, ("ZCARD", "none"): 0, ("XLEN", "none"): 0,
    ("GETBIT", "none", 7): 0, ("BITCOUNT", "none"): 0,
}
WRITES = [("SET", "k", "v"), ("DEL", "k"), ("INCR", "k"), ("EVAL", "return 1", 0), ("FLUSHALL",),
          ("HSET", "h", "f", "v"), ("MSET", "a", 1, "b", 2), ("PUBLISH", "c", "m")]
NOT_KEPT = [("SCAN", 0), ("RANDOMKEY",), ("SRANDMEMBER", "none"), ("DBSIZE",), ("PTTL", "none")]


def down(larder, l2):
    """L2 is killed, and larder knows."""
    l2.kill()
    with larder.conn() as conn:
        poll(lambda: is_upstream_error(conn("SET", "probe", "v")), WAIT)
        poll(lambda: l2_figure(conn, "breaker") == b"open"
             or l2_figure(conn, "breaker") == b"half-open", WAIT)


# upstream-fail-mode

@pytest.mark.parametrize("proto", (2, 3))
def test_fail_mode_error(proto, new_redis, new_larder):
    l2 = new_redis()
    larder = new_larder(l2, *FAST)
    with larder.conn(proto) as conn:
        conn("SET", "known", "v")
        assert conn("GET", "known") == b"v"
        down(larder, l2)
        for command in [*MISSING, *WRITES, *NOT_KEPT, ("GET", "known")]:
            assert is_upstream_error(conn(*command)), command
        assert l2_figure(conn, "failed_as_missing") == 0


@pytest.mark.parametrize("proto", (2, 3))
def test_fail_mode_miss(proto, new_redis, new_larder):
    """Reads that L1 keeps are answered as of missing keys; a write is never pretended."""
    l2 = new_redis()
    larder = new_larder(l2, *FAST, "--upstream-fail-mode", "miss")
    with larder.conn(proto) as conn, l2.conn(proto) as direct:
        conn("SET", "known", "v")
        expected = {command: direct.ask(*command).raw for command in MISSING}
        assert conn("GET", "known") == b"v"
        down(larder, l2)
        for command, missing in MISSING.items():
            got = conn.ask(*command)
            assert got.raw == expected[command], command
            assert proto == 3 or got.value == missing, command
        assert conn("GET", "known") is NIL
        for command in [*WRITES, *NOT_KEPT]:
            assert is_upstream_error(conn(*command)), command
        # MGET and EXISTS of two keys count two.
        assert l2_figure(conn, "failed_as_missing") == len(MISSING) + 3
        l2.start()
        poll(lambda: conn("SET", "known", "w") == OK, WAIT)
        assert conn("GET", "known") == b"w" and conn("GET", "none") is NIL


def test_fail_mode_miss_keeps_nothing(new_redis, new_larder):
    """What was answered for want of an answer is not taken for true later."""
    l2 = new_redis()
    larder = new_larder(l2, *FAST, "--upstream-fail-mode", "miss")
    with larder.conn() as conn:
        down(larder, l2)
        for command in MISSING:
            conn(*command)
        assert l1(conn, "size") == 0
        l2.start()
        with l2.conn() as direct:
            direct("MSET", "none", "there", "nothing", "there")
            poll(lambda: conn("PTTL", "none") == -1, WAIT)
            assert conn("MGET", "none", "nothing") == [b"there", b"there"]
            assert conn("EXISTS", "none", "nothing") == 2


def test_fail_mode_stale(new_redis, new_larder):
    """As if all keys had stale-if-error; an error where there is no old value."""
    l2 = new_redis()
    larder = new_larder(l2, *FAST, "--upstream-fail-mode", "stale",
                        "--policy", "off: stale-if-error=0")
    with larder.conn() as conn:
        conn("MSET", "k", "v", "off:k", "v")
        conn("HSET", "h", "f", "v")
        known = {("GET", "k"): b"v", ("MGET", "k", "none"): [b"v", NIL], ("EXISTS", "k"): 1,
                 ("HGETALL", "h"): [b"f", b"v"], ("HGET", "h", "f"): b"v",
                 ("EXISTS", "k", "none"): 1}
        for command, expected in known.items():
            assert conn(*command) == expected
        assert conn("GET", "off:k") == b"v"
        down(larder, l2)
        for command, expected in known.items():
            assert conn(*command) == expected, command
        assert l1(conn, "stale_if_error") >= len(known)
        for command in [("GET", "unknown"), ("MGET", "k", "unknown"), ("HGET", "h", "unknown"),
                        ("GET", "off:k"), ("EXISTS", "k", "unknown"), *WRITES[:1]]:
            assert is_upstream_error(conn(*command)), command
        assert conn("GET", "k") == b"v", "a write that was not even sent changes nothing"


def test_fail_mode_is_changed_at_run_time(new_redis, new_larder):
    l2 = new_redis()
    larder = new_larder(l2, *FAST)
    with larder.conn() as conn:
        down(larder, l2)
        assert is_upstream_error(conn("GET", "k"))
        assert conn("CONFIG", "SET", "upstream-fail-mode", "miss") == OK
        assert conn("GET", "k") is NIL and conn("HGETALL", "k") == []
        assert conn("CONFIG", "SET", "upstream-fail-mode", "error") == OK
        assert is_upstream_error(conn("GET", "k"))


# Fetches that are sent once more

FETCHES = {("GET", "k"): b"v", ("MGET", "k", "none"): [b"v", NIL], ("HGETALL", "h"): [b"f", b"v"],
           ("EXISTS", "k"): 1, ("ZRANGE", "z", 0, -1, "WITHSCORES"): [b"m", b"1"]}
N_FETCHES = len(FETCHES) + 1    # MGET has two


@pytest.fixture
def cut(new_redis, new_larder, new_proxy):
    """Starts larder behind a proxy, and loses the link with all fetches in flight; their replies."""
    def lose(*options):
        l2 = new_redis()
        proxy = new_proxy(l2)
        larder = new_larder(proxy.upstream_value(), *options)
        larder.linked()
        with l2.conn() as direct, larder.conn(deadline=WAIT) as conn, larder.conn() as seen:
            direct("SET", "k", "v")
            direct("HSET", "h", "f", "v")
            direct("ZADD", "z", 1, "m")
            proxy("freeze")
            for command in (*FETCHES, ("INCR", "n"), ("RANDOMKEY",)):
                conn.send(encode(*command))
            poll(lambda: l2_figure(seen, "fetches_in_flight") == N_FETCHES - 1
                 and l2_figure(seen, "writes") == 1, WAIT)     # GET's and MGET's k are one
            proxy("cut")
            got = [conn.read().value for _ in FETCHES]
            assert is_upstream_error(conn.read().value), "a write is not sent again"
            assert is_upstream_error(conn.read().value), "nor is what fills nothing"
            assert direct("GET", "n") is NIL
            return got, l2_figure(seen, "retries"), larder
    return lose


def test_a_fetch_is_sent_once_more(cut):
    got, retries, larder = cut()
    assert got == list(FETCHES.values())
    assert retries == N_FETCHES - 1
    with larder.conn() as conn:
        assert [conn(*command) for command in FETCHES] == list(FETCHES.values())


def test_no_retry_without_a_budget(cut):
    got, retries, _ = cut("--upstream-retry-budget", 0)
    assert all(is_upstream_error(each) for each in got)
    assert retries == 0


def test_the_retry_budget_is_a_share(new_redis, new_larder, new_proxy):
    """What was saved up is spent on the first losses; later ones find no more than a share."""
    l2 = new_redis()
    proxy = new_proxy(l2)
    larder = new_larder(proxy.upstream_value(), "--upstream-retry-budget", 1,
                        "--upstream-backoff-min", 1, "--upstream-backoff-max", 1)
    larder.linked()
    with larder.conn(deadline=WAIT) as conn, larder.conn() as seen:
        failed = 0
        for round_ in range(6):
            # One that is lost as soon as it is up is not tried again at once.
            poll(lambda: l2_figure(seen, "up") and l2_figure(seen, "state_age_ms") > 10, WAIT)
            before = l2_figure(seen, "fetches")
            proxy("freeze")
            conn.send(b"".join(encode("GET", f"{round_}:{i}") for i in range(50)))
            poll(lambda: l2_figure(seen, "fetches") == before + 50, WAIT)
            proxy("cut")
            failed += sum(is_upstream_error(conn.read().value) for _ in range(50))
        assert l2_figure(seen, "retries") + failed == 300
        assert 90 <= l2_figure(seen, "retries") <= 110, "a hundred saved up, and 1 % of 300"


def test_sent_once_more_only_once(new_redis, new_larder, new_proxy):
    l2 = new_redis()
    proxy = new_proxy(l2)
    larder = new_larder(proxy.upstream_value())
    larder.linked()
    with larder.conn(deadline=WAIT) as conn, larder.conn() as seen:
        proxy("freeze")
        conn.send(encode("GET", "k"))
        poll(lambda: l2_figure(seen, "fetches_in_flight") == 1, WAIT)
        connects = l2_figure(seen, "connects")
        proxy("cut")
        poll(lambda: l2_figure(seen, "connects") > connects or conn.buf, WAIT)
        # The second one may be answered before it can be caught: then the value has come.
        assert conn.read().value is NIL and l2_figure(seen, "retries") == 1


# The circuit breaker

@pytest.fixture
def dripping(new_redis, new_larder, new_proxy):
    """An L2 that is never silent, and answers nothing in time: a long reply drips before all others."""
    l2 = new_redis()
    proxy = new_proxy(l2)
    larder = new_larder(proxy.upstream_value(), "--upstream-timeout", 500, "--breaker-failures", 3,
                        "--upstream-ping-interval", 60000,  # or it is given up for being behind
                        "--policy", "p: ttl=1h stale-if-error=1h")
    larder.linked()
    larder.l2, larder.proxy = l2, proxy
    l2.once("SET", "big", "x" * 3_000_000)
    return larder


def breaker(conn):
    return l2_figure(conn, "breaker").decode()


def test_the_breaker_opens_and_closes(dripping):
    with dripping.conn(deadline=WAIT) as slow, dripping.conn(deadline=WAIT) as conn:
        conn("SET", "p:k", "v")
        assert conn("GET", "p:k") == b"v"
        assert breaker(conn) == "closed"
        assert info(conn, "L2")["l2_breaker"] == "closed"
        dripping.proxy("drip", 2000, 10)
        slow.send(encode("GET", "big"))
        for _ in range(20):
            if breaker(conn) != "closed":
                break
            got = conn("SET", "k", "v")
            assert is_upstream_error(got), got
        assert breaker(conn) in ("open", "half-open"), "after three time-outs"
        node = flat_map(conn("UPSTREAM", "LIST")[0])
        assert node["breaker"] in (b"open", b"half-open") and node["state"] == b"ready"
        assert info(conn, "L2")["l2_breaker"] in ("open", "half-open")
        assert l2_figure(conn, "breaker_opened") == 1
        # 100 commands at 500 ms each would take 50 s.
        begin = time.monotonic()
        for i in range(100):
            got = conn("GET", f"k{i}") if i % 2 else conn("SET", f"k{i}", "v")
            assert is_upstream_error(got) and b"circuit breaker open" in got, got
        assert time.monotonic() - begin < 20
        assert conn("GET", "p:k") == b"v", "L1 goes on"
        assert "circuit breaker open" in dripping.log()
        dripping.proxy("clear")
        poll(lambda: breaker(conn) == "closed", WAIT, why="closed by itself")
        poll(lambda: conn("SET", "k", "v") == OK, WAIT)
        assert conn("GET", "p:k") == b"v"
        assert flat_map(conn("UPSTREAM", "LIST")[0])["breaker"] == b"closed"
        assert "circuit breaker closed" in dripping.log()
        assert l2_figure(conn, "breaker_transitions") >= 3
        assert dripping.l2.calls("set") < 50, "what was refused has not reached L2"


def test_breaker_failures_0_and_no_rate(dripping):
    with dripping.conn(deadline=WAIT) as slow, dripping.conn(deadline=WAIT) as conn:
        conn("CONFIG", "SET", "breaker-failures", 0, "breaker-error-rate", 0)
        dripping.proxy("drip", 2000, 10)
        slow.send(encode("GET", "big"))
        for i in range(4):
            got = conn.pipeline([("GET", f"k{i}:{j}") for j in range(10)])
            assert all(is_upstream_error(g) and b"no reply within" in g for g in got), got
        assert breaker(conn) == "closed" and l2_figure(conn, "breaker_opened") == 0


def test_errors_of_l2_leave_the_breaker_closed(new_redis, new_larder):
    """Only silence opens it."""
    larder = new_larder(new_redis(), "--breaker-failures", 2)
    with larder.conn() as conn:
        conn("LPUSH", "list", "a")
        for _ in range(50):
            assert isinstance(conn("INCR", "list"), Error) and isinstance(conn("GET", "list"), Error)
        assert breaker(conn) == "closed" and l2_figure(conn, "breaker_transitions") == 0


def test_a_lost_link_opens_it_and_its_return_closes_it(new_redis, new_larder):
    l2 = new_redis()
    larder = new_larder(l2, *FAST)
    with larder.conn() as conn:
        down(larder, l2)
        assert flat_map(conn("UPSTREAM", "LIST")[0])["breaker"] in (b"open", b"half-open")
        l2.start()
        poll(lambda: conn("SET", "k", "v") == OK, WAIT)
        assert breaker(conn) == "closed"
