"""COMMAND, UPSTREAM and INFO as tools see them: L2's commands with larder's own among them, and what
is left when L2 hangs or is gone."""

import os
import pty
import re
import select
import signal
import subprocess
import time

import pytest

from support.resp import NIL, Error, flat_map, poll
from support.stats import info

FAST = ("--upstream-ping-interval", "100", "--upstream-timeout", "2000")
OWN = [b"cache", b"upstream"]


def names(entries):
    return {entry[0] for entry in entries}


@pytest.mark.parametrize("proto", (2, 3))
def test_l2s_commands_and_ours(proto, pair):
    with pair.larder.conn(proto) as conn, pair.l2.conn(proto) as direct:
        ours, theirs = conn("COMMAND"), direct("COMMAND")
        assert names(ours) - names(theirs) == set(OWN)
        assert [entry for entry in ours if entry[0] not in OWN] == theirs
        assert conn("COMMAND", "COUNT") == len(ours) == direct("COMMAND", "COUNT") + len(OWN)
        more = set(conn("COMMAND", "LIST")) - set(direct("COMMAND", "LIST"))
        assert set(OWN) <= more and all(name.split(b"|")[0] in OWN for name in more)
        assert b"cache|stats" in more


@pytest.mark.parametrize("proto", (2, 3))
def test_info_and_docs_of_both(proto, pair):
    with pair.larder.conn(proto) as conn, pair.l2.conn(proto) as direct:
        got = conn("COMMAND", "INFO", "get", "cache", "nosuch", "UPSTREAM|LIST")
        assert got[0] == direct("COMMAND", "INFO", "get")[0]
        assert got[1][0] == b"cache" and got[2] is NIL and got[3][0] == b"upstream|list"
        assert len(got[1]) == len(got[0]) == 10
        docs = flat_map(conn("COMMAND", "DOCS", "get", "cache|warm", "nosuch"))
        assert set(docs) == {"get", "cache|warm"}
        assert docs["get"] == flat_map(direct("COMMAND", "DOCS", "get"))["get"]
        assert flat_map(docs["cache|warm"])["group"] == b"larder"
        every = flat_map(conn("COMMAND", "DOCS"))
        assert set(every) - set(flat_map(direct("COMMAND", "DOCS"))) == {n.decode() for n in OWN}
        assert conn("COMMAND", "LIST", "FILTERBY", "PATTERN", "UPSTREAM*") == \
            conn("COMMAND", "LIST", "FILTERBY", "PATTERN", "upstream*") != []


def test_when_l2_is_gone(new_redis, new_larder):
    l2 = new_redis()
    larder = new_larder(l2, *FAST)
    with larder.conn() as conn:
        before = names(conn("COMMAND"))
        l2.kill()
        poll(lambda: isinstance(conn("SET", "k", "v"), Error))
        assert names(conn("COMMAND")) == before
        assert conn("COMMAND", "COUNT") == len(before)
        assert conn("COMMAND", "INFO", "hset", "nosuch")[0][:2] == [b"hset", -4]
        assert "cache" in flat_map(conn("COMMAND", "DOCS"))
        assert conn("COMMAND", "GETKEYS", "MSET", "a", "1", "b", "2") == [b"a", b"b"]
        assert flat_map(conn("UPSTREAM", "LIST")[0])["state"] in (b"down", b"connecting")
        assert info(conn)["l2_up"] == "0"


def test_when_l2_hangs(new_redis, new_larder):
    """INFO does not wait for it as long as other commands do, and sections of larder's not at all."""
    l2 = new_redis()
    larder = new_larder(l2, "--upstream-timeout", "60000", "--upstream-ping-interval", "60000")
    with larder.conn(deadline=20) as conn:
        conn("SET", "k", "v")
        l2.signal(signal.SIGSTOP)
        try:
            asked = int(info(conn, "l2")["l2_commands"])
            assert "connected_clients" in info(conn, "clients")
            assert int(info(conn, "l2")["l2_commands"]) == asked, "L2 is not even asked"
            assert "db0" not in info(conn)
            assert int(info(conn, "l2")["l2_commands"]) == asked + 1
        finally:
            l2.signal(signal.SIGCONT)
        assert info(conn, "keyspace")["db0"].startswith("keys=1,")


def test_alone(alone):
    with alone.larder.conn() as conn:
        every = names(conn("COMMAND"))
        assert {b"get", b"set", b"client", b"cache"} <= every
        assert not {b"hset", b"cluster", b"shutdown"} & every, "what would be an unknown command"
        assert conn("COMMAND", "INFO", "hset") == [NIL]
        assert conn("COMMAND", "GETKEYS", "SET", "k", "v") == [b"k"]
        assert conn("COMMAND", "GETKEYS", "HSET", "k", "f", "v") == \
            Error(b"ERR Invalid command specified")
        assert conn("UPSTREAM", "LIST") == [] == conn("UPSTREAM", "STATS")
        assert conn("ROLE") == [b"master", 0, []]
        assert abs(int(conn("TIME")[0]) - time.time()) < 5


def test_upstream(pair):
    with pair.larder.conn() as two, pair.larder.conn(3) as three:
        node = flat_map(two("UPSTREAM", "LIST")[0])
        assert node["name"] == b"127.0.0.1:%d" % pair.l2.port
        assert node["state"] == b"ready" and node["tracking"] == 1
        stats = flat_map(three("UPSTREAM", "STATS", node["name"])[0])
        assert set(node) <= set(stats) and stats["commands"] > 0
        assert isinstance(two("UPSTREAM", "STATS", "nosuch:1"), Error)
        assert two("UPSTREAM", "HELP")[0].startswith(b"UPSTREAM <subcommand>")


def typed(port, keys):
    """What redis-cli shows on a terminal after these keys."""
    pid, fd = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm"
        os.environ["HOME"] = "/nonexistent"
        os.execvp("redis-cli", ["redis-cli", "-p", str(port)])
    shown = b""
    try:
        subprocess.run(["stty", "cols", "200"], stdin=fd, check=True)
        end = time.monotonic() + 20
        while time.monotonic() < end and b"> " not in shown:
            if select.select([fd], [], [], 0.1)[0]:
                shown += os.read(fd, 65536)
        os.write(fd, keys)
        while time.monotonic() < end and not re.search(keys + rb"[^\r]*?\w", shown):
            if select.select([fd], [], [], 0.1)[0]:
                shown += os.read(fd, 65536)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(fd)
    return re.sub(rb"\x1b\[[0-9;]*\w", b"", shown)


@pytest.mark.parametrize("keys,hint", ((b"SET ", b"key value [NX|XX]"),
                                       (b"CACHE WARM ", b"KEYS key [key ...]|MATCH pattern"),
                                       (b"UPSTREAM STATS ", b"[node]")))
def test_hints_of_redis_cli(keys, hint, pair, alone):
    for server in (pair.larder, alone.larder):
        assert hint in typed(server.port, keys)
