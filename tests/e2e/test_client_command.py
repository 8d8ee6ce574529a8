"""CLIENT LIST, INFO, KILL, PAUSE: the clients of larder, in Redis's words."""

import re
import threading
import time

import pytest

from support.resp import OK, Closed, Deadline, Error, encode, poll

# Fields of Redis 7.0's CLIENT LIST that tools read
FIELDS = ["id", "addr", "laddr", "fd", "name", "age", "idle", "flags", "db", "sub", "psub", "multi",
          "qbuf", "qbuf-free", "obl", "oll", "omem", "tot-mem", "events", "cmd", "user", "redir",
          "resp"]


def fields(line):
    return dict(part.split("=", 1) for part in line.decode().split())


def listed(conn, *argv):
    return [fields(l) for l in conn("CLIENT", "LIST", *argv).splitlines()]


@pytest.mark.parametrize("proto", (2, 3))
def test_info(proto, larder):
    with larder.conn(proto) as conn:
        conn("CLIENT", "SETNAME", "me")
        conn("SELECT", 3)
        got = fields(conn("CLIENT", "INFO"))
        assert set(FIELDS) <= set(got), set(FIELDS) - set(got)
        assert got["name"] == "me" and got["db"] == "3" and got["cmd"] == "client|info"
        assert got["resp"] == str(proto) and got["user"] == "default"
        assert int(got["id"]) == conn("CLIENT", "ID")
        host, port = conn.sock.getsockname()
        assert got["addr"] == f"{host}:{port}"
        assert got["laddr"] == f"127.0.0.1:{larder.port}"


def test_list(larder):
    with larder.conn() as one, larder.conn(3) as two:
        one("CLIENT", "SETNAME", "one")
        two("CLIENT", "SETNAME", "two")
        by_name = {c["name"]: c for c in listed(one)}
        assert by_name["one"]["resp"] == "2" and by_name["two"]["resp"] == "3"
        ids = [one("CLIENT", "ID"), two("CLIENT", "ID")]
        assert ids[0] < ids[1]
        assert [c["name"] for c in listed(one, "ID", ids[1])] == ["two"]
        assert [c["name"] for c in listed(one, "ID", *ids)] == ["one", "two"]
        assert len(listed(one, "TYPE", "normal")) == len(by_name)
        assert listed(one, "TYPE", "replica") == []


def test_library_name(larder):
    with larder.conn() as conn:
        assert conn("CLIENT", "SETINFO", "LIB-NAME", "test-lib") == OK
        assert conn("CLIENT", "SETINFO", "LIB-VER", "1.2.3") == OK
        got = conn("CLIENT", "INFO")
        assert b"lib-name=test-lib" in got and b"lib-ver=1.2.3" in got
        for argv in (("NOSUCH", "x"), ("LIB-NAME", "a b"), ("LIB-NAME", "a\nb"), ("LIB-NAME",)):
            assert isinstance(conn("CLIENT", "SETINFO", *argv), Error), argv


def gone(conn):
    try:
        conn("PING")
    except Closed:
        return True
    return False


@pytest.mark.parametrize("filters", (
    lambda c: ("ID", c("CLIENT", "ID")),
    lambda c: ("ADDR", "%s:%d" % c.sock.getsockname()),
    lambda c: ("ADDR", "%s:%d" % c.sock.getsockname(), "ID", c("CLIENT", "ID")),
    lambda c: ("TYPE", "normal", "ID", c("CLIENT", "ID")),
    lambda c: ("USER", "default", "ID", c("CLIENT", "ID"))), ids=("ID", "ADDR", "both", "TYPE",
                                                                 "USER"))
def test_kill(filters, larder):
    with larder.conn() as conn, larder.conn() as victim, larder.conn() as other:
        assert conn("CLIENT", "KILL", *filters(victim)) == 1
        assert gone(victim)
        assert other("PING") == b"PONG" == conn("PING")


def test_kill_by_the_old_form(larder):
    with larder.conn() as conn, larder.conn() as victim:
        assert conn("CLIENT", "KILL", "%s:%d" % victim.sock.getsockname()) == OK
        assert gone(victim)


def test_kill_skips_oneself(larder):
    with larder.conn() as conn, larder.conn() as victim:
        assert conn("CLIENT", "KILL", "TYPE", "normal") >= 1
        assert conn("PING") == b"PONG"
        assert gone(victim)
        assert conn("CLIENT", "KILL", "ID", conn("CLIENT", "ID"), "SKIPME", "yes") == 0
        assert conn("CLIENT", "KILL", "ID", conn("CLIENT", "ID"), "SKIPME", "no") == 1
        assert gone(conn)


def test_killing_a_client_with_commands_in_flight(pair):
    """Its replies go nowhere; nobody else gets them."""
    slow = "local n = 0 for i = 1, 3000000 do n = n + i end return ARGV[1]"
    with pair.larder.conn() as conn:
        for i in range(3):
            victim = pair.larder.conn()
            number = victim("CLIENT", "ID")
            victim.send(b"".join(
                b"*4\r\n$4\r\nEVAL\r\n$%d\r\n%s\r\n$1\r\n0\r\n$6\r\nsecret\r\n"
                % (len(slow), slow.encode()) for _ in range(3)))
            time.sleep(0.01)
            assert conn("CLIENT", "KILL", "ID", number) == 1
            assert [conn("ECHO", f"{i}:{j}") for j in range(20)] == [b"%d:%d" % (i, j)
                                                                     for j in range(20)]
            assert conn("SET", "k", i) == OK
            assert conn("GET", "k") == b"%d" % i
            victim.close()


def test_pause(larder):
    with larder.conn() as conn, larder.conn() as other:
        other("SET", "k", "v")
        other("GET", "k")
        begin = time.monotonic()
        assert conn("CLIENT", "PAUSE", 300) == OK
        assert other("GET", "k") == b"v"
        assert time.monotonic() - begin >= 0.28, "reads wait, too"


def test_pause_of_writes(larder):
    with larder.conn() as conn, larder.conn() as other:
        other("SET", "k", "v")
        assert conn("CLIENT", "PAUSE", 60000, "WRITE") == OK
        assert other("GET", "k") == b"v", "reads go on"
        assert conn("CLIENT", "UNPAUSE") == OK
        begin = time.monotonic()
        assert conn("CLIENT", "PAUSE", 300, "WRITE") == OK
        assert other("SET", "k", "w") == OK
        assert time.monotonic() - begin >= 0.28, "writes wait"
        assert other("GET", "k") == b"w"


def test_unpause(larder):
    with larder.conn() as conn, larder.conn() as other:
        other("SET", "k", "v")
        conn("CLIENT", "PAUSE", 60000, "WRITE")
        done = []
        thread = threading.Thread(target=lambda: done.append(other("SET", "k", "w")))
        thread.start()
        assert conn("CLIENT", "UNPAUSE") == OK
        thread.join(20)
        assert done == [OK]


READS = "#!lua flags=no-writes\nreturn 'read'"
LIBRARY = ("#!lua name=pauses\n"
           "redis.register_function{function_name='reads', flags={'allow-stale', 'no-writes'}, "
           "callback=function() return 'read' end}\n"
           "redis.register_function('writes', function() return 'written' end)")


def test_a_pause_of_writes_lets_through_scripts_that_read(larder):
    with larder.conn() as conn, larder.conn() as other, larder.conn() as third:
        conn("FUNCTION", "LOAD", "REPLACE", LIBRARY)
        sha = conn("SCRIPT", "LOAD", "#!lua flags=allow-oom,no-writes\nreturn 'loaded'")
        writes = conn("SCRIPT", "LOAD", "#!lua\nreturn 'written'")
        plain = conn("SCRIPT", "LOAD", "return 'written'")
        try:
            assert conn("CLIENT", "PAUSE", 60000, "WRITE") == OK
            assert other("EVAL", READS, 0) == b"read"
            assert other("EVAL_RO", "return 'read'", 0) == b"read"
            assert other("EVALSHA", sha, 0) == b"loaded" == other("EVALSHA", sha.upper(), 0)
            assert other("EVALSHA_RO", plain, 0) == b"written"
            assert other("FCALL", "reads", 0) == b"read" == other("fcall", "Reads", 0)
            assert other("FCALL_RO", "reads", 0) == b"read"
            assert other.pipeline([("MULTI",), ("EVAL", READS, 1, "k"), ("FCALL", "reads", 0),
                                   ("EXEC",)])[-1] == [b"read", b"read"]
            assert other("SCRIPT", "LOAD", READS) != b""
            for waits in (("EVAL", "return 'written'", 0), ("EVAL", "#!lua\nreturn 'written'", 0),
                          ("EVALSHA", writes, 0), ("EVALSHA", plain, 0), ("FCALL", "writes", 0)):
                third.send(encode(*waits))
                with pytest.raises(Deadline):
                    third.read(0.1)
                conn("CLIENT", "UNPAUSE")
                assert third.read().value == b"written"
                conn("CLIENT", "PAUSE", 60000, "WRITE")
        finally:
            conn("CLIENT", "UNPAUSE")
            conn("FUNCTION", "DELETE", "pauses")


def test_the_count_of_clients(larder):
    with larder.conn() as conn:
        poll(lambda: len(listed(conn)) == 1, 5.0)
        others = [larder.conn() for _ in range(7)]
        assert [o("PING") for o in others] == [b"PONG"] * 7
        assert len(listed(conn)) == 8
        assert re.search(rb"connected_clients:8\r", conn("INFO", "clients"))
        for other in others:
            other.close()
        poll(lambda: len(listed(conn)) == 1, 5.0)
