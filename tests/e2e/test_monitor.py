"""MONITOR: what passes larder, in redis-server's very lines."""

import re

import pytest

from support.resp import Error, encode, poll

COMMANDS = [
    ("SET", "k", "v"), ("GET", "k"), ("GET", "k"), ("get", "missing"), ("PING",),
    ("SET", b"\r\n\t\a\b\x00\x7f\xff\"\\'", "x y"), ("SET", "", ""), ("SELECT", 3), ("GET", "k"),
    ("SELECT", 0), ("ECHO", "text"), ("AUTH", "secret"), ("AUTH", "default", "secret"),
    ("HELLO", 2, "AUTH", "default", "secret"), ("HELLO", 2), ("CLIENT", "SETNAME", "me"),
    ("CLIENT", "LIST"), ("CONFIG", "GET", "timeout"), ("SLOWLOG", "LEN"), ("LATENCY", "RESET"),
    ("GET",), ("NOSUCH", "a"), ("ACL", "WHOAMI"), ("EVAL", "return 1", 0), ("PUBLISH", "c", "x"),
    ("MULTI",), ("SET", "k", 1), ("INCR", "k"), ("EXEC",), ("MULTI",), ("GET", "k"), ("DISCARD",),
    ("MULTI",), ("GET",), ("EXEC",), ("LPUSH", "l", "a"), ("GET", "l"), ("DEL", "k", "l"),
    ("MIGRATE", "127.0.0.1", 1, "", 0, 10, "AUTH", "secret", "KEYS", "nokey"),
    ("SUBSCRIBE", "c"), ("PING",), ("UNSUBSCRIBE", "c"),
]
LINE = re.compile(rb"^\d{10}\.\d{6} \[(\d+) 127\.0\.0\.1:\d+\] ")


def shown(server, proto, commands):
    """The lines that a monitor gets, without time and port."""
    with server.conn(proto) as monitor, server.conn() as conn:
        assert monitor("MONITOR") == b"OK"
        for words in commands:
            conn.send(encode(*words))
            conn.take()
        conn.send(encode("ECHO", "the end"))
        conn.take()
        out = []
        while True:
            line = monitor.take().value
            found = LINE.match(line)
            assert found, line
            out.append(b"[%s] %s" % (found[1], line[found.end():]))
            if out[-1].endswith(b'"ECHO" "the end"'):
                return out


@pytest.mark.parametrize("proto", (2, 3))
def test_as_redis(proto, redis, larder):
    assert shown(larder, proto, COMMANDS) == shown(redis, proto, COMMANDS)


def test_alone(redis, alone):
    commands = [("SET", "k", "v"), ("GET", "k"), ("MULTI",), ("GET", "k"), ("EXEC",), ("SELECT", 1),
                ("GET", "k"), ("AUTH", "secret"), ("CONFIG", "GET", "port")]
    assert shown(alone.larder, 2, commands) == shown(redis, 2, commands)


def test_no_secret_is_shown(larder):
    text = b"\n".join(shown(larder, 2, COMMANDS))
    assert b"secret" not in text and text.count(b"(redacted)") == 6


@pytest.mark.parametrize("proto", (2, 3))
def test_a_monitor_itself(proto, redis, larder):
    """What it may do, how it is listed, how it ends: the same replies."""
    def play(server):
        out = []
        with server.conn(proto) as conn, server.conn() as other:
            for words, n in ((("MONITOR",), 1), (("MONITOR",), 0), (("PING",), 2),
                             (("GET", "k"), 1), (("SET", "k", "v"), 1), (("ECHO", "x"), 2)):
                conn.send(encode(*words))
                out += [re.sub(rb"[0-9]{4,}", b"N", conn.take().raw) for _ in range(n)]
            flags = re.findall(rb"flags=(\w+)", other("CLIENT", "LIST", "TYPE", "normal"))
            out.append(sorted(flags))
            conn.send(encode("RESET"))
            out.append(conn.take().raw)
            other("PING")
            out.append(conn("GET", "k"))
        return out
    assert play(larder) == play(redis)


def test_nobody_is_left(larder):
    with larder.conn() as one, larder.conn(3) as two:
        one("MONITOR"), two("MONITOR")
        one.send(encode("QUIT"))
        assert one.take().value == b"OK"
        poll(lambda: larder.once("CLIENT", "LIST").count(b"flags=O") == 1)
    poll(lambda: larder.once("CLIENT", "LIST").count(b"flags=O") == 0)


def test_a_unix_socket(new_redis, new_larder, tmp_path):
    path = tmp_path / "larder.sock"
    larder = new_larder(new_redis(), "--unixsocket", path)
    from support.resp import Conn
    with larder.conn() as monitor, Conn(str(path)) as conn:
        monitor("MONITOR")
        conn("SET", "k", "v")
        line = monitor.take().value
        assert line.endswith(b'[0 unix:%s] "SET" "k" "v"' % str(path).encode()), line


def test_a_slow_monitor_is_closed(new_larder):
    larder = new_larder(None, "--client-output-buffer-limit", "normal 1mb 0 0")
    with larder.conn() as monitor, larder.conn() as conn:
        monitor("MONITOR")
        for _ in range(60):
            conn("SET", "k", b"\xff" * 100000)
        assert larder.once("CLIENT", "LIST").count(b"flags=O") == 0
        assert conn("PING") == b"PONG"


def test_inside_multi(larder):
    with larder.conn() as conn:
        got = conn.pipeline([("MULTI",), ("MONITOR",), ("EXEC",), ("PING",)])
        assert isinstance(got[1], Error) and got[2].startswith(b"EXECABORT") and got[3] == b"PONG"
