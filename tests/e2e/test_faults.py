"""L2 killed, hanging, refusing, late, or talking garbage: a clear error, and larder stays up."""

import signal
import socket
import threading
import time

import pytest

from support.resp import NIL, OK, Conn, Error, parse, poll
from support.servers import free_port
from support.stats import tier

FAST = ("--upstream-ping-interval", "100", "--upstream-timeout", "500")


def upstream_error(value):
    return isinstance(value, Error) and value.startswith(b"UPSTREAM ") and len(value) > 15


def answers_locally(conn):
    """PING and CACHE STATS come at once whatever L2 does."""
    begin = time.monotonic()
    assert conn("PING") == b"PONG"
    assert "hits" in tier(conn, "L1")
    took = time.monotonic() - begin
    assert took < 5.0, f"{took:.3f} s"


def back(conn):
    got = conn("SET", "probe", "v")
    assert got == OK or upstream_error(got), got
    return got == OK


def test_killed_and_back(new_redis, new_larder):
    l2 = new_redis()
    larder = new_larder(l2, *FAST)
    with larder.conn() as conn:
        conn("SET", "k", "v")
        assert conn("GET", "k") == b"v"
        l2.kill()
        poll(lambda: upstream_error(conn("SET", "k", "w")), 1.0)
        for command in (("SET", "k", "w"), ("GET", "never seen"), ("LPUSH", "l", "a"),
                        ("NOSUCHCOMMAND",), ("MGET", "a", "b"), ("EVAL", "return 1", 0)):
            begin = time.monotonic()
            assert isinstance(conn(*command), Error), command
            assert time.monotonic() - begin < 0.6, command
        answers_locally(conn)
        assert larder.alive()
        l2.start()
        begin = time.monotonic()
        poll(lambda: back(conn), 5.0)
        assert time.monotonic() - begin < 1.0, "back later than a second after L2's return"
        assert conn("GET", "k") is NIL, "L2 came back empty, so L1 must not remember"
        conn("SET", "k", "again")
        assert conn("GET", "k") == b"again"
        l2.once("SET", "k", "direct")
        poll(lambda: conn("GET", "k") == b"direct", 1.0, why="tracking is on again")


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
            poll(lambda: upstream_error(conn("GET", f"other {time.monotonic()}")), 1.0)
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
            assert upstream_error(conn.read().value)
            got = conn.read().value
            assert got == b"v" or upstream_error(got)
            assert conn.read().value == b"e%d" % i
        assert conn("PING") == b"PONG"


def test_hanging(new_redis, new_larder):
    l2 = new_redis()
    larder = new_larder(l2, *FAST)
    with larder.conn() as conn, larder.conn() as other:
        conn("SET", "k", "v")
        l2.signal(signal.SIGSTOP)
        try:
            begin = time.monotonic()
            conn.send(b"SET k w\r\n")
            for _ in range(10):
                answers_locally(other)
            assert upstream_error(conn.read().value)
            took = time.monotonic() - begin
            assert took <= 0.5 + 0.25, f"upstream-timeout 500 ms, error after {took:.3f} s"
            answers_locally(conn)
        finally:
            l2.signal(signal.SIGCONT)
        poll(lambda: back(conn), 3.0)
        assert conn("GET", "k") in (b"v", b"w")


def test_late_replies_reach_nobody(new_redis, new_larder):
    """What timed out is answered by L2 later; the next commands get their own replies."""
    l2 = new_redis()
    larder = new_larder(l2, "--upstream-timeout", "200", "--upstream-ping-interval", "60000")
    with larder.conn() as conn:
        for i in range(3):
            l2.signal(signal.SIGSTOP)
            got = conn.pipeline([("SET", f"late{j}", f"late {i}") for j in range(20)])
            l2.signal(signal.SIGCONT)
            assert all(upstream_error(g) for g in got), got
            poll(lambda: back(conn), 3.0)
            for j in range(50):
                assert conn("SET", "k", f"{i}:{j}") == OK
                assert conn("GET", "k") == b"%d:%d" % (i, j)
                assert conn("HSET", "h", j, 1) in (0, 1)
                token = b"token %d %d" % (i, j)
                assert conn("EVAL", "return ARGV[1]", 0, token) == token
            assert conn("GET", "late0") in (b"late %d" % i, b"late %d" % (i - 1), NIL)
            assert conn("GET", "late0") == l2.once("GET", "late0")


def test_a_silent_link_is_not_trusted(new_redis, new_larder):
    """A link without an answer to its ping no longer vouches for what L1 holds."""
    l2 = new_redis()
    larder = new_larder(l2, *FAST)
    with larder.conn() as conn:
        conn("SET", "k", "v")
        assert conn("GET", "k") == b"v"
        l2.signal(signal.SIGSTOP)
        try:
            poll(lambda: upstream_error(conn("GET", "k")), 3.0)
        finally:
            l2.signal(signal.SIGCONT)
        poll(lambda: conn("GET", "k") == b"v", 3.0)


def test_started_before_l2(new_redis, new_larder):
    port = free_port()
    larder = new_larder(f"127.0.0.1:{port}", *FAST)
    with larder.conn() as conn:
        answers_locally(conn)
        assert upstream_error(conn("GET", "k"))
        assert upstream_error(conn("SET", "k", "v"))
        new_redis(port=port)
        poll(lambda: back(conn), 5.0)
        conn("SET", "k", "v")
        assert conn("GET", "k") == b"v"


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


class Upstream:
    """A fake L2 that speaks the handshake by relaying it to a real one, until told otherwise."""

    def __init__(self, real):
        self.real = real
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.inject = None
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            sock, _ = self.listener.accept()
            behind = socket.create_connection(self.real.address)
            threading.Thread(target=self.pump, args=(sock, behind, False), daemon=True).start()
            threading.Thread(target=self.pump, args=(behind, sock, True), daemon=True).start()

    def pump(self, source, target, replies):
        try:
            while True:
                data = source.recv(65536)
                if not data:
                    break
                if replies and self.inject:
                    data, self.inject = self.inject(data), None
                target.sendall(data)
        except OSError:
            pass
        for sock in (source, target):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


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
    fake = Upstream(l2)
    larder = new_larder(f"127.0.0.1:{fake.port}", *FAST)
    larder.linked()
    with larder.conn() as conn, l2.conn() as direct:
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
    fake = Upstream(l2)
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
    fake = Upstream(l2)
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
        before = larder.cpu()
        time.sleep(0.5)
        assert larder.cpu() - before < 0.2
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
        poll(lambda: back(conn), 3.0)
        poll(lambda: conn("CLIENT", "LIST").count(b"\n") == 1, 5.0)


