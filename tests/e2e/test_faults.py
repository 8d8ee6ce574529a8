"""L2 killed, hanging, late, or talking garbage: a clear error, and larder stays up. What operators are told
of faults, doc/failures.md, is tested in test_failures.py."""

import signal
import time

import pytest

from support.resp import NIL, OK, Conn, Error, parse, poll
from support.relay import Relay
from support.seen import answers_locally, back, is_upstream_error
from support.servers import free_port

FAST = ("--upstream-ping-interval", "100", "--upstream-timeout", "500")


def test_killed_again_and_again_on_a_unix_socket(new_redis, new_larder):
    l2 = new_redis()
    larder = new_larder(f"unix:{l2.path}", *FAST)
    larder.linked()
    with larder.conn() as conn:
        for i in range(5):
            poll(lambda: back(conn), 5.0)
            assert conn("SET", "k", i) == OK
            assert conn("GET", "k") == b"%d" % i
            l2.kill()
            poll(lambda: is_upstream_error(conn("GET", f"other {time.monotonic()}")))
            l2.start()


def test_what_was_in_flight_gets_exactly_one_reply(new_redis, new_larder):
    """L2 hangs with commands in flight and is killed: each has its error, in order."""
    l2 = new_redis()
    larder = new_larder(l2, "--upstream-timeout", "20000", "--upstream-ping-interval", "20000")
    with larder.conn() as conn:
        conn("SET", "hit", "v")
        assert conn("GET", "hit") == b"v"
        l2.signal(signal.SIGSTOP)
        conn.send(b"".join(b"SET k%d v\r\nGET hit\r\nECHO e%d\r\n" % (i, i) for i in range(100)))
        time.sleep(0.05)
        l2.kill()
        for i in range(100):
            assert is_upstream_error(conn.read().value)
            got = conn.read().value
            assert got == b"v" or is_upstream_error(got)
            assert conn.read().value == b"e%d" % i
        assert conn("PING") == b"PONG"


HERE = [("PING",), ("ECHO", "x"), ("GET", "hit"), ("MGET", "hit", "hit"), ("STRLEN", "hit"),
        ("TTL", "hit"), ("CACHE", "STATS"), ("CACHE", "EXPLAIN", "hit"), ("UPSTREAM", "LIST"),
        ("CLIENT", "LIST"), ("CLIENT", "ID"), ("CLIENT", "SETNAME", "me"), ("CONFIG", "GET", "port"),
        ("CONFIG", "SET", "slowlog-max-len", "10"), ("INFO", "server", "clients", "stats", "l2"),
        ("SLOWLOG", "LEN"), ("LATENCY", "LATEST"), ("SELECT", 1), ("SELECT", 0), ("MULTI",),
        ("DISCARD",), ("UNWATCH",), ("ACL", "WHOAMI"), ("HELLO", 2), ("RESET",),
        ("CACHE", "INVALIDATE", "hit"), ("CACHE", "FLUSH"), ("QUIT",)]


def test_what_is_answered_here_does_not_wait(new_redis, new_larder):
    """While L2 hangs, and a client's command waits for a minute: each within a client's deadline."""
    l2 = new_redis()
    larder = new_larder(l2, "--upstream-timeout", "60000", "--upstream-ping-interval", "60000",
                        "--shutdown-timeout", "0")
    with larder.conn() as conn, larder.conn() as waiting:
        conn("SET", "hit", "v")
        assert conn("GET", "hit") == b"v"
        l2.signal(signal.SIGSTOP)
        waiting.send(b"GET miss\r\n")
        answers_locally(conn)
        for words in HERE:
            got = conn(*words)
            assert not isinstance(got, Error), (words, got)
        assert waiting.quiet(0.05) == (b"", False)


def test_late_replies_reach_nobody(new_redis, new_larder):
    """What timed out is answered by L2 later; the next commands get their own replies."""
    l2 = new_redis()
    larder = new_larder(l2, "--upstream-timeout", "200", "--upstream-ping-interval", "60000")
    with larder.conn() as conn:
        for i in range(3):
            l2.signal(signal.SIGSTOP)
            got = conn.pipeline([("SET", f"late{j}", f"late {i}") for j in range(20)])
            l2.signal(signal.SIGCONT)
            assert all(is_upstream_error(g) for g in got), got
            poll(lambda: back(conn))
            for j in range(50):
                assert conn("SET", "k", f"{i}:{j}") == OK
                assert conn("GET", "k") == b"%d:%d" % (i, j)
                assert conn("HSET", "h", j, 1) in (0, 1)
                token = b"token %d %d" % (i, j)
                assert conn("EVAL", "return ARGV[1]", 0, token) == token
            assert conn("GET", "late0") in (b"late %d" % i, b"late %d" % (i - 1), NIL)
            assert conn("GET", "late0") == l2.once("GET", "late0")


@pytest.mark.parametrize("way", ("url", "file", "environment", "directive"))
@pytest.mark.parametrize("right", (True, False))
def test_upstream_password(way, right, new_redis, new_larder, tmp_path):
    l2 = new_redis("--requirepass", "right-horse")
    secret = "right-horse" if right else "wrong-staple"
    where, options, env = f"127.0.0.1:{l2.port}", [], {}
    if way == "url":
        where = f"redis://:{secret}@{where}"
    elif way == "file":
        (tmp_path / "secret").write_text(secret + "\n")
        options = ["--upstream-password-file", tmp_path / "secret"]
    elif way == "environment":
        env = {"LARDER_UPSTREAM_PASSWORD": secret}
    else:
        options = ["--upstream-password", secret]
    larder = new_larder(where, *options, env=env)
    with larder.conn() as conn:
        if right:
            poll(lambda: conn("SET", "k", "v") == OK, 5.0)
            assert conn("GET", "k") == b"v"
        else:
            assert isinstance(conn("SET", "k", "v"), Error)
            poll(lambda: "WRONGPASS" in larder.log(), 5.0, why="a line for the operator")
            assert conn("PING") == b"PONG"
            lines = [l for l in larder.log().splitlines() if "WRONGPASS" in l]
            assert len(lines) < 20, "slow retries"
        assert secret not in larder.log()
        assert secret not in conn("INFO").decode()


def test_a_user_of_the_upstream(new_redis, new_larder):
    l2 = new_redis()
    l2.once("ACL", "SETUSER", "app", "on", ">pw:with@signs", "~*", "&*", "+@all")
    larder = new_larder(f"redis://app:pw%3Awith%40signs@127.0.0.1:{l2.port}/2")
    with larder.conn() as conn:
        poll(lambda: conn("SET", "k", "v") == OK, 5.0)
        assert b"user=app" in l2.once("CLIENT", "LIST")


@pytest.mark.parametrize("name,inject", [
    ("a reply too many", lambda d: d + b"+OK\r\n"),
    ("many replies too many", lambda d: b"+OK\r\n" * 50 + d),
    ("garbage", lambda d: b"\x00\xff garbage\r\n\r\n"),
    ("half a reply", lambda d: b"$100000\r\nabc"),
    ("a huge length", lambda d: b"$999999999999\r\nabc"),
    ("a huge array", lambda d: b"*2147483647\r\n" + d),
    ("deep nesting", lambda d: b"*1\r\n" * 100000 + d),
    ("a push nobody asked for", lambda d: b">2\r\n+surprise\r\n:1\r\n" + d),
    ("an invalidation that is none", lambda d: b">2\r\n$10\r\ninvalidate\r\n:1\r\n" + d),
    ("http", lambda d: b"HTTP/1.1 400 Bad Request\r\n\r\n"),
], ids=lambda x: x if isinstance(x, str) else "")
def test_an_upstream_that_lies(name, inject, new_redis, new_larder):
    l2 = new_redis()
    fake = Relay(l2)
    larder = new_larder(f"127.0.0.1:{fake.port}", *FAST)
    larder.linked()
    # Under AddressSanitizer, hiredis takes seconds for the deep one.
    with larder.conn(deadline=30) as conn, l2.conn() as direct:
        direct("SET", "k", "real")
        fake.inject = inject
        got = conn("GET", "k")
        assert got == b"real" or isinstance(got, Error), got
        answers_locally(conn)
        poll(lambda: conn("GET", "k") == b"real", 5.0)
        assert conn("SET", "k", "v") == OK
        assert conn("GET", "k") == b"v" == direct("GET", "k")


def test_resets_in_the_middle_of_replies(new_redis, new_larder):
    """The link is cut inside a big reply: an error, and nothing half is kept."""
    l2 = new_redis()
    fake = Relay(l2)
    larder = new_larder(f"127.0.0.1:{fake.port}", *FAST)
    larder.linked()
    value = b"x" * 200000
    l2.once("SET", "big", value)

    def cut(data):
        l2.once("CLIENT", "KILL", "TYPE", "normal")
        return data[:1000]

    with larder.conn() as conn:
        for _ in range(3):
            conn("CACHE", "FLUSH")
            fake.inject = cut
            got = conn("GET", "big")
            assert got == value or isinstance(got, Error)
            poll(lambda: conn("GET", "big") == value, 5.0)


def replies_in(data):
    at = 0
    while at < len(data):
        value, at = parse(data, at)
        yield value


@pytest.mark.parametrize("reply", (b"-LOADING Redis is loading the dataset in memory\r\n",
                                   b"-MASTERDOWN Link with MASTER is down\r\n",
                                   b"-CLUSTERDOWN The cluster is down\r\n"))
def test_passing_conditions_are_not_kept(reply, new_redis, new_larder):
    l2 = new_redis()
    fake = Relay(l2)
    larder = new_larder(f"127.0.0.1:{fake.port}", *FAST)
    larder.linked()
    l2.once("SET", "k", "v")
    with larder.conn() as conn:
        fake.inject = lambda data: b"".join(reply for _ in replies_in(data))
        got = conn("GET", "k")
        assert got == b"v" or isinstance(got, Error)
        poll(lambda: conn("GET", "k") == b"v", 5.0)


def test_no_busy_loop_while_l2_is_away(new_larder):
    larder = new_larder(f"127.0.0.1:{free_port()}")
    with larder.conn() as conn:
        conn("PING")
        before, begin = larder.cpu(), time.monotonic()
        time.sleep(1)
        assert larder.cpu() - before < 0.4 * (time.monotonic() - begin)
        assert conn("PING") == b"PONG"


def test_a_client_that_leaves_while_l2_hangs(new_redis, new_larder):
    l2 = new_redis()
    larder = new_larder(l2, *FAST)
    l2.signal(signal.SIGSTOP)
    try:
        for i in range(50):
            conn = Conn(larder.address)
            conn.send(b"SET k%d v\r\nGET k%d\r\n" % (i, i))
            conn.close()
        with larder.conn() as conn:
            answers_locally(conn)
    finally:
        l2.signal(signal.SIGCONT)
    with larder.conn() as conn:
        poll(lambda: back(conn))
        poll(lambda: conn("CLIENT", "LIST").count(b"\n") == 1, 5.0)
