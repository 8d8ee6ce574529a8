"""Limits: maxclients, timeout, passwords, query buffer, argument length, file descriptors."""

import socket
import subprocess
import sys
import time

import pytest

from support.resp import NIL, OK, Closed, Conn, Deadline, encode, poll
from support.servers import ROOT, Larder, Redis, larder_path
from support.stats import info

FULL = b"-ERR max number of clients reached\r\n"
PROBE = ROOT / "tests" / "e2e" / "support" / "protected.py"
NOAUTH = b"NOAUTH Authentication required."
WRONGPASS = b"WRONGPASS invalid username-password pair or user is disabled."


def refused(address):
    """What a connection gets that is closed at once."""
    with Conn(address) as conn:
        return conn.until_closed()


def test_maxclients(new_redis, new_larder):
    direct = new_redis("--maxclients", "5")
    larder = new_larder(new_redis(), "--maxclients", "5")
    for server in (direct, larder):
        conns = []
        poll(lambda: server.once("CLIENT", "LIST").count(b"\n") == 1, 5.0)
        for _ in range(5):
            conns.append(server.conn())
            assert conns[-1]("PING") == b"PONG"
        assert refused(server.address) == FULL
        assert [c("PING") for c in conns] == [b"PONG"] * 5
        conns.pop().close()
        poll(lambda: answers(server.address), 5.0, why="room again")
        for conn in conns:
            conn.close()
    assert int(info(larder.conn(), "stats")["rejected_connections"]) >= 1


def answers(address):
    with Conn(address) as conn:
        try:
            return conn("PING") == b"PONG"
        except Closed:
            return False


def test_idle_clients_are_closed(new_larder):
    larder = new_larder(None, "--timeout", "2")
    with larder.conn() as idle, larder.conn() as busy:
        idle("PING")
        begin = time.monotonic()
        while time.monotonic() - begin < 3:
            assert busy("PING") == b"PONG"
            time.sleep(0.02)
        assert idle.until_closed(20.0) == b""
        assert time.monotonic() - begin >= 1.9
        assert busy("PING") == b"PONG"


class TestPassword:
    @pytest.fixture(scope="class")
    def servers(self):
        made = [Redis("--requirepass", "secret"), Redis()]
        larder = Larder(made[1], "--requirepass", "secret")
        yield made[0], larder
        larder.stop()
        for server in (*made, larder):
            server.discard()

    @pytest.mark.parametrize("commands", [
        [("GET", "k")], [("SET", "k", "v")], [("NOSUCH",)], [("PING",)], [("ECHO", "x")],
        [("LRANGE", "l", 0, -1)], [("CLIENT", "ID")], [("CONFIG", "GET", "*")], [("INFO",)],
        [("COMMAND", "COUNT")], [("SELECT", 1)], [("GET",)], [("FLUSHALL",)],
        [("AUTH", "wrong")], [("AUTH", "default", "wrong")], [("AUTH", "nobody", "secret")],
        [("AUTH", "secret", "x", "y")], [("AUTH",)], [("AUTH", "")],
        [("AUTH", "secret"), ("PING",), ("GET", "k")],
        [("AUTH", "default", "secret"), ("PING",)],
        [("AUTH", "secret"), ("AUTH", "wrong"), ("PING",)],
        [("HELLO",)], [("HELLO", 2)], [("HELLO", 3)], [("HELLO", 4)],
        [("HELLO", 3, "AUTH", "default", "wrong")],
        [("HELLO", 3, "AUTH", "nobody", "secret"), ("PING",)],
        [("HELLO", 3, "SETNAME", "x")],
        [("AUTH", "secret"), ("RESET",), ("PING",)],
        [("RESET",)], [("QUIT",)],
    ], ids=lambda cs: "; ".join(" ".join(map(str, c)) for c in cs))
    def test_same_words_as_redis(self, commands, servers):
        got = []
        for server in servers:
            with Conn(server.address) as conn:
                got.append([conn.ask(*c).raw for c in commands])
        assert got[0] == got[1]

    def test_texts(self, servers):
        with Conn(servers[1].address) as conn:
            assert conn("GET", "k") == NOAUTH
            assert conn("AUTH", "wrong") == WRONGPASS
            assert conn("GET", "k") == NOAUTH
            assert conn("AUTH", "secret") == OK
            assert conn("GET", "k") is NIL

    def test_hello_with_auth(self, servers):
        with Conn(servers[1].address) as conn:
            assert conn("HELLO", 3, "AUTH", "default", "secret", "SETNAME", "me")[b"proto"] == 3
            assert conn("CLIENT", "GETNAME") == b"me"
            assert conn("SET", "k", "v") == OK

    def test_pipelined(self, servers):
        for server in servers:
            with Conn(server.address) as conn:
                assert conn.pipeline([("SET", "k", "v"), ("AUTH", "secret"), ("SET", "k", "w"),
                                      ("GET", "k")]) == [NOAUTH, OK, OK, b"w"]

    def test_failures_are_counted_and_logged_without_the_secret(self, servers):
        larder = servers[1]
        with Conn(larder.address) as conn:
            for _ in range(3):
                conn("AUTH", "guess-that-stands-nowhere")
            conn("AUTH", "secret")
            assert int(info(conn, "everything")["auth_failures"]) >= 3
        assert "guess-that-stands-nowhere" not in larder.log()


def test_password_set_at_run_time(new_larder):
    larder = new_larder()
    with larder.conn() as conn, larder.conn() as other:
        assert conn("CONFIG", "SET", "requirepass", "new") == OK
        assert conn("PING") == b"PONG", "who was in stays in"
        with larder.conn() as late:
            assert late("PING") == NOAUTH
            assert late("AUTH", "new") == OK
            assert late("PING") == b"PONG"
        assert conn("CONFIG", "SET", "requirepass", "") == OK
        assert other("PING") == b"PONG"
        assert larder.once("PING") == b"PONG"


def test_query_buffer_limit(new_redis, new_larder):
    """One command larger than the limit: closed without a reply, as Redis."""
    limit = ("--client-query-buffer-limit", "1mb")
    for server in (new_redis(*limit), new_larder(new_redis(), *limit)):
        with server.conn() as conn:
            conn("SET", "small", "v")
            assert conn("GET", "small") == b"v"
            try:
                conn.send(encode("SET", "k", b"x" * (3 << 20)))
            except Closed:
                pass
            assert conn.until_closed(10.0) == b""
        assert server.once("GET", "small") == b"v"
        assert server.once("EXISTS", "k") == 0


def test_argument_length(new_redis, new_larder):
    limit = ("--proto-max-bulk-len", "1mb")
    for server in (new_redis(*limit), new_larder(new_redis(), *limit)):
        with server.conn() as conn:
            assert conn("SET", "k", b"x" * (1 << 20)) == OK
            conn.send(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1048577\r\n")
            assert conn.until_closed() == b"-ERR Protocol error: invalid bulk length\r\n"
        assert server.once("STRLEN", "k") == 1 << 20


def test_no_descriptors_left(new_redis, new_larder):
    """A flood beyond the descriptors: no spinning, who is in is served, and it recovers."""
    larder = new_larder(new_redis(), nofile=64)
    with larder.conn() as conn:
        assert conn("SET", "k", "v") == OK
        flood = []
        for _ in range(150):
            sock = socket.socket()
            sock.setblocking(False)
            try:
                sock.connect(larder.address)
            except BlockingIOError:
                pass
            flood.append(sock)
        time.sleep(0.1)
        before, begin = larder.cpu(), time.monotonic()
        for _ in range(25):
            assert conn("GET", "k") == b"v"
            time.sleep(0.02)
        used, took = larder.cpu() - before, time.monotonic() - begin
        assert used < 0.5 * took, f"{used:.2f} s of CPU in {took:.2f} s"
        assert conn("SET", "k", "w") == OK
        for sock in flood:
            sock.close()
        poll(lambda: tries(larder), 5.0, why="new clients get in again")
        assert conn("GET", "k") == b"w"


def tries(server):
    try:
        return answers(server.address)
    except (OSError, Deadline):
        return False


def test_protected_mode(tmp_path):
    """From an address that isn't loopback, without a password: denied, in Redis's manner."""
    direct = probe("redis-server", "--save", "", "--dir", str(tmp_path))
    larder = probe(str(larder_path()))
    assert direct.startswith("-DENIED Redis is running in protected mode")
    assert larder.startswith("-DENIED ") and "protected mode" in larder.splitlines()[0]
    for said in (direct, larder):
        assert said.splitlines()[1:] == ["PONG", "NOAUTH Authentication required.", "status 0"]


def probe(*argv):
    """What support/protected.py sees of a server, in a network of its own where that is allowed;
    in a container that forbids it, on the container's own address."""
    for way in (["unshare", "-rn"], ["unshare", "-n"], []):
        if not way or subprocess.run([*way, "true"], capture_output=True).returncode == 0:
            break
    done = subprocess.run([*way, sys.executable, "-B", PROBE, "own" if way else "shared", *argv],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


DEEP = ("EVAL", "local a = {}; local b = {a}; a[1] = b; return a", 0)
DEEP_MAPS = ("EVAL", "local a = {}; a.map = {a = a}; return a", 0)


@pytest.mark.parametrize("proto", (2, 3))
@pytest.mark.parametrize("script", (DEEP, DEEP_MAPS))
@pytest.mark.parametrize("in_multi", (False, True))
def test_the_deepest_reply_that_a_script_can_make(in_multi, script, proto, pair):
    asked = encode("MULTI") + encode(*script) + encode("EXEC") if in_multi else encode(*script)
    replies = []
    for server in (pair.l2, pair.larder):
        with server.conn(proto) as conn:
            conn.send(asked + encode("ECHO", "end"))
            got = b""
            while not got.endswith(b"$3\r\nend\r\n"):
                part = conn.sock.recv(1 << 16)
                assert part, got[-100:]
                got += part
            replies.append(got)
            assert conn("PING") == b"PONG"
    assert b"reached lua stack limit" in replies[0]
    assert replies[0] == replies[1]
