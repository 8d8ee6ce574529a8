"""AUTH, HELLO and RESET with a password: the same scripts against redis-server and larder, both with
requirepass, and the same replies to the byte."""

import re

import pytest

from support.resp import Conn, encode
from support.servers import Larder, Redis

SCRIPTS = [
    ["PING", "GET k", "NOSUCH", "AUTH wrong", "AUTH secret", "PING", "RESET", "PING", "AUTH secret",
     "GET k"],
    ["HELLO", "HELLO 3", "HELLO 2 AUTH default x", "HELLO 3 AUTH default secret SETNAME me",
     "CLIENT GETNAME", "HELLO 2", "HELLO 2 SETNAME", "HELLO 3 NOPE", "HELLO 5"],
    ["HELLO 3 SETNAME foo", "AUTH default secret", "CLIENT GETNAME"],
    ["HELLO 3 SETNAME foo AUTH default secret FOO", "PING", "CLIENT GETNAME"],
    ["AUTH nobody secret", "AUTH Default secret", "AUTH default", "AUTH", "AUTH a b c"],
    ["SELECT 1", "ECHO x", "INFO", "COMMAND COUNT", "CLIENT ID", "CONFIG GET port", "SUBSCRIBE c",
     "MULTI", "SHUTDOWN"],
    ["AUTH secret", "SELECT 15", "SELECT 16", "SELECT -1", "SELECT abc", "SELECT 99999999999",
     "SELECT"],
    ["AUTH secret", "CLIENT REPLY OFF", "PING", "RESET", "PING"],
    ["AUTH secret", "CLIENT REPLY SKIP", "RESET", "PING"],
    ["AUTH secret", "CLIENT REPLY SKIP", "CLIENT REPLY ON", "PING"],
    ["AUTH secret", "CLIENT REPLY OFF", "CLIENT REPLY FOO", "CLIENT REPLY ON", "PING"],
    ["AUTH secret", "CLIENT GETREDIR", "CLIENT TRACKINGINFO", "CLIENT CACHING YES",
     "CLIENT TRACKING OFF", "CLIENT TRACKING FOO", "HELLO 3", "CLIENT TRACKINGINFO"],
    ["AUTH secret", "CLIENT UNBLOCK 1", "CLIENT UNBLOCK 1 FOO", "CLIENT UNBLOCK x",
     "CLIENT UNBLOCK 1 TIMEOUT x", "CLIENT PAUSE 1 WRITE EXTRA"],
    ["AUTH secret", "SLOWLOG GET a", "SLOWLOG GET -2", "SLOWLOG GET 1 2", "SLOWLOG FOO",
     "LATENCY LATEST", "LATENCY HISTORY x", "LATENCY RESET", "LATENCY FOO", "ACL WHOAMI"],
]
NOT_THE_SAME = re.compile(rb"(id\r\n:)\d+")


@pytest.fixture(scope="module")
def guarded():
    made = [Redis("--requirepass", "secret"), Redis()]
    made.append(Larder(made[1], "--requirepass", "secret", "--loglevel", "verbose"))
    yield made[0], made[2]
    made[2].stop()
    for server in made:
        server.discard()


def run(server, script):
    """All bytes that come for the script, up to the reply to a mark."""
    with Conn(server.address) as conn:
        conn.send(b"".join(encode(*command.split()) for command in script))
        conn.send(encode("CLIENT", "REPLY", "ON") + encode("AUTH", "secret") + encode("ECHO", "end"))
        shown = []
        while not shown or shown[-1] != b"$3\r\nend\r\n":
            shown.append(NOT_THE_SAME.sub(rb"\1N", conn.read().raw))
        return shown


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda s: "; ".join(s)[:60])
def test_as_redis(script, guarded):
    redis, larder = guarded
    assert run(larder, script) == run(redis, script)


def test_wrong_passwords_are_counted_and_logged(guarded):
    larder = guarded[1]
    since = larder.log_size()
    with larder.conn() as conn:
        conn("AUTH", "secret")
        before = conn("INFO", "larder")
        conn("AUTH", "hunter2")
        conn("HELLO", "3", "AUTH", "somebody", "hunter2")
        after = conn("INFO", "larder")
        peer = "%s:%d" % conn.sock.getsockname()
    count = re.compile(rb"auth_failures:(\d+)")
    assert int(count.search(after)[1]) == int(count.search(before)[1]) + 2
    log = larder.log(since)
    assert log.count(f"client {peer}") >= 2
    assert "hunter2" not in log and "somebody" not in log
