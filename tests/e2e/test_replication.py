"""Replicas that connect to larder: a connection of their own to L2, relayed as it is."""

import re
import subprocess
import time

import pytest

from support.resp import Closed, Error, encode, poll
from support.servers import REDIS, Redis

CLI = REDIS.replace("redis-server", "redis-cli")


def replicas_at(l2):
    return int(re.search(rb"connected_slaves:(\d+)", l2.once("INFO", "replication")).group(1))


def links(l2):
    return l2.once("CLIENT", "LIST").count(b"name=larder")


def cli(larder, *argv, timeout=30):
    return subprocess.run([CLI, "-p", str(larder.port), *argv], capture_output=True,
                          timeout=timeout, check=True)


def sync(conn):
    """Sends SYNC and reads the RDB file; its bytes."""
    conn.sock.sendall(b"SYNC\r\n")
    return read_rdb(conn)


def read_line(conn):
    line = b""
    while not line.endswith(b"\n"):
        got = conn.sock.recv(1)
        assert got, line
        line += got
    return line


def read_rdb(conn):
    line = b"\n"
    while line == b"\n":                    # newlines while L2 makes the file
        line = read_line(conn)
    assert line.startswith(b"$"), line
    left = int(line[1:])
    parts = []
    while left > 0:
        part = conn.sock.recv(min(left, 1 << 16))
        assert part
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


@pytest.fixture
def l2(new_redis):
    return new_redis("--repl-diskless-sync", "no")


def test_rdb_file(l2, new_larder, tmp_path):
    larder = new_larder(l2)
    for i in range(1000):
        larder.once("SET", f"key:{i}", f"value {i}")
    cli(larder, "--rdb", tmp_path / "dump.rdb")
    data = (tmp_path / "dump.rdb").read_bytes()
    assert data.startswith(b"REDIS") and b"key:999" in data
    copy = Redis("--dbfilename", "dump.rdb", "--dir", str(tmp_path))
    try:
        assert copy.once("DBSIZE") == 1000 and copy.once("GET", "key:7") == b"value 7"
    finally:
        copy.discard()


def test_info_tells_of_l2s_replicas(l2, new_larder):
    larder = new_larder(l2)
    with larder.conn() as conn:
        assert b"REDIS" in sync(conn)
        mine = larder.once("INFO", "replication")
        assert b"connected_slaves:1" in mine and b"slave0:ip=" in mine
        assert mine.split(b"\r\n")[0] == b"# Replication"
        everything = larder.once("INFO")
        assert everything.count(b"connected_slaves:1") == 1 == everything.count(b"role:")
        headings = re.findall(rb"\r\n\r\n# (\w+)\r\n", everything)
        assert b"Replication" in headings and headings.index(b"CPU") == \
            headings.index(b"Replication") + 1


def test_cli_as_a_replica(l2, new_larder):
    larder = new_larder(l2)
    process = subprocess.Popen([CLI, "-p", str(larder.port), "--replica"], stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT)
    try:
        poll(lambda: b"state=online" in l2.once("INFO", "replication"), 20.0)
        larder.once("SET", "k", "through larder")
        l2.once("SET", "k", "directly")
        seen = b""
        while b"directly" not in seen:
            line = process.stdout.readline()
            assert line, seen
            seen += line
        assert b"through larder" in seen
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    poll(lambda: replicas_at(l2) == 0, 20.0)


@pytest.mark.parametrize("diskless", ("yes", "no"))
def test_a_real_replica(diskless, new_redis, new_larder):
    l2 = new_redis("--requirepass", "secret", "--repl-diskless-sync", diskless,
                   "--repl-diskless-sync-delay", "0")
    larder = new_larder(f"redis://:secret@127.0.0.1:{l2.port}", "--requirepass", "larders")
    with larder.conn() as conn:
        conn("AUTH", "larders")
        poll(lambda: conn("SET", "early", "1") == b"OK", 10.0)
        replica = new_redis("--replicaof", f"127.0.0.1 {larder.port}", "--masterauth", "larders")
        poll(lambda: replica.once("GET", "early") == b"1", 30.0)
        for i in range(100):
            conn("INCR", "n")
        assert conn("WAIT", 1, 10000) == 1
        assert replica.once("GET", "n") == b"100"
        assert replica.once("ROLE")[3] == b"connected"
        lines = conn("CLIENT", "LIST", "TYPE", "replica").splitlines()
        assert len(lines) == 1 and b" flags=S " in lines[0] and b"cmd=replconf" in lines[0]
        # It goes on where it was: the same replication id and offset are asked for.
        assert conn("CLIENT", "KILL", "TYPE", "replica") == 1
        poll(lambda: b"sync_partial_ok:1" in l2.once("INFO", "stats"), 30.0)
        conn("SET", "late", "2")
        poll(lambda: replica.once("GET", "late") == b"2", 30.0)


def test_by_unix_socket(l2, new_larder):
    larder = new_larder(f"unix:{l2.path}")
    with larder.conn() as conn:
        poll(lambda: conn("SET", "k", "v") == b"OK", 10.0)
        assert b"REDIS" in sync(conn)


def test_the_stream(l2, new_larder):
    larder = new_larder(l2)
    before = links(l2)
    with larder.conn() as conn, larder.conn() as other:
        # What the client said before is answered first.
        conn.send(encode("SET", "k", "v") + encode("REPLCONF", "listening-port", 6399))
        assert conn.read().value == b"OK"
        assert conn.read().value == b"OK"
        assert b"REDIS" in sync(conn)
        other("SELECT", 9)
        other("SET", "x", "1")
        assert conn.read().value == [b"SELECT", b"9"]
        assert conn.read().value == [b"SET", b"x", b"1"]
        conn.send(b"\n" + encode("REPLCONF", "ACK", 0))
        assert links(l2) >= before + 1
    poll(lambda: links(l2) <= before + 16 and replicas_at(l2) == 0, 10.0)


def test_where_it_is_refused(l2, new_larder, alone):
    larder = new_larder(l2)
    for argv in (("SYNC",), ("PSYNC", "?", -1), ("REPLCONF", "capa", "eof")):
        with larder.conn() as conn:
            conn("MULTI")
            assert conn(*argv).startswith(b"ERR ")
            assert conn("EXEC").startswith(b"EXECABORT")
            assert conn("SET", "k", "v") == b"OK"
        with alone.larder.conn() as conn:
            assert conn(*argv).startswith(b"ERR there is no upstream")
            assert conn("PING") == b"PONG"
        with larder.conn(3) as conn:
            conn("CLIENT", "TRACKING", "ON")
            assert b"can't replicate" in conn(*argv)
    with larder.conn() as conn:
        assert b"administrative" in conn("PSYNC", "?", -1, "FAILOVER")
        assert conn("PING") == b"PONG"
    assert l2.once("ROLE")[0] == b"master"


@pytest.mark.parametrize("argv", (("SET", "k", "v"), ("SHUTDOWN", "NOSAVE"), ("DEBUG", "SEGFAULT"),
                                  ("PSYNC", "?", -1, "FAILOVER"), ("CONFIG", "SET", "port", 1)))
def test_only_what_a_replica_says(argv, l2, new_larder):
    larder = new_larder(l2)
    with larder.conn() as conn:
        assert conn("REPLCONF", "capa", "eof") == b"OK"
        assert conn("PING") == b"PONG"
        conn.send(encode(*argv))
        with pytest.raises((Closed, OSError)):
            conn.read()
    assert l2.once("EXISTS", "k") == 0 and l2.once("ROLE")[0] == b"master"
    assert larder.once("SET", "k", "v") == b"OK"


def test_l2_is_away(l2, new_larder):
    larder = new_larder(l2, "--upstream-backoff-max", "100")
    with larder.conn() as conn:
        assert b"REDIS" in sync(conn)
        l2.kill()
        poll(lambda: not replicas_of(larder), 10.0)
        assert conn.sock.recv(1) == b""
    with larder.conn() as conn:
        poll(lambda: conn("GET", "x").startswith(b"UPSTREAM"), 10.0)
        got = conn("SYNC")
        assert isinstance(got, Error) and got.startswith(b"UPSTREAM")
    l2.start()
    larder.linked()
    with larder.conn() as conn:
        assert b"REDIS" in sync(conn)


def replicas_of(larder):
    return larder.once("CLIENT", "LIST", "TYPE", "replica")


def test_limit(l2, new_larder):
    larder = new_larder(l2, "--upstream-pinned-max", "2")
    conns = [larder.conn() for _ in range(2)]
    try:
        for conn in conns:
            assert conn("REPLCONF", "capa", "eof") == b"OK"
        with larder.conn() as conn:
            assert b"upstream-pinned-max" in conn("REPLCONF", "capa", "eof")
            conns.pop().close()
            poll(lambda: conn("REPLCONF", "capa", "eof") == b"OK", 10.0)
    finally:
        for conn in conns:
            conn.close()


def test_slow_reader(l2, new_larder):
    """What the replica doesn't read stays at L2."""
    megabytes = 64
    l2.once("CONFIG", "SET", "client-output-buffer-limit", "replica 0 0 0")
    l2.once("CONFIG", "SET", "rdbcompression", "no")
    larder = new_larder(l2)
    with l2.conn(deadline=30) as direct:
        for i in range(megabytes):
            direct("SETRANGE", f"big:{i}", (1 << 20) - 1, "x")
    before = larder.memory()
    with larder.conn(deadline=60) as conn:
        conn.sock.sendall(b"SYNC\r\n")
        poll(lambda: b"state=send_bulk" in l2.once("INFO", "replication"), 30.0)
        time.sleep(1)                       # for it to read what it should not
        assert larder.memory() - before < 16 << 20
        assert larder.once("PING") == b"PONG"
        assert len(read_rdb(conn)) > megabytes << 20
        l2.once("SET", "k", "v")
        seen = b""
        while b"\r\nk\r\n" not in seen:
            seen += conn.sock.recv(65536)


def test_l2_leaves_while_the_replica_does_not_read(l2, new_larder):
    l2.once("CONFIG", "SET", "client-output-buffer-limit", "replica 0 0 0")
    l2.once("CONFIG", "SET", "rdbcompression", "no")
    larder = new_larder(l2)
    with l2.conn(deadline=30) as direct:
        for i in range(32):
            direct("SETRANGE", f"big:{i}", (1 << 20) - 1, "x")
    with larder.conn() as conn:
        conn.sock.sendall(b"SYNC\r\n")
        poll(lambda: b"state=send_bulk" in l2.once("INFO", "replication"), 30.0)
        used = larder.cpu()
        l2.kill()
        time.sleep(1)
        assert larder.cpu() - used < 0.5    # it does not turn in circles meanwhile
        while conn.sock.recv(1 << 16):
            pass
    poll(lambda: not replicas_of(larder), 10.0)


def test_shutdown(l2, new_larder):
    larder = new_larder(l2)
    with larder.conn() as conn:
        assert b"REDIS" in sync(conn)
        larder.stop()
        assert conn.sock.recv(1) == b""
    poll(lambda: replicas_at(l2) == 0, 10.0)
