"""Where larder listens: loopback only by default, IPv6, unix sockets and their permissions."""

import os
import socket
import stat
import subprocess

import pytest

from support.resp import OK, Conn, poll
from support.servers import Larder, free_port, larder_path


def listening(pid):
    """(address, port) of every TCP socket that the process listens on, as hex text."""
    inodes = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            target = os.readlink(f"/proc/{pid}/fd/{fd}")
        except OSError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    found = []
    for table in ("tcp", "tcp6"):
        with open(f"/proc/{pid}/net/{table}", encoding="ascii") as lines:
            for line in list(lines)[1:]:
                fields = line.split()
                if fields[3] == "0A" and fields[9] in inodes:
                    address, port = fields[1].split(":")
                    found.append((address, int(port, 16)))
    return found


def test_loopback_by_default(alone):
    found = listening(alone.larder.pid)
    assert ("0100007F", alone.larder.port) in found
    for address, port in found:
        assert port == alone.larder.port
        assert address in ("0100007F", "00000000000000000000000001000000"), address


def test_ipv6(new_redis, new_larder):
    larder = new_larder(new_redis(), "--bind", "127.0.0.1", "::1")
    with Conn(("::1", larder.port)) as six, Conn(("127.0.0.1", larder.port)) as four:
        assert six("SET", "k", "v") == OK
        assert four("GET", "k") == b"v"
        assert b"addr=[::1]:" in six("CLIENT", "INFO")
        assert b"addr=127.0.0.1:" in four("CLIENT", "INFO")


def test_ipv6_upstream(new_redis, new_larder):
    l2 = new_redis("--bind", "127.0.0.1", "::1")
    larder = new_larder(f"[::1]:{l2.port}")
    larder.linked()
    with larder.conn() as conn:
        assert conn("SET", "k", "v") == OK
    assert l2.once("GET", "k") == b"v"


def test_a_bound_address_that_does_not_exist(tmp_path):
    done = subprocess.run([larder_path(), "--port", str(free_port()), "--bind", "203.0.113.99"],
                          capture_output=True, text=True, timeout=20, cwd=tmp_path)
    assert done.returncode == 1
    assert "203.0.113.99" in done.stdout + done.stderr


@pytest.mark.parametrize("mode", ("700", "770", "777", "600"))
def test_unix_socket_permissions(mode, new_redis, new_larder, tmp_path):
    path = tmp_path / "larder.sock"
    larder = new_larder(new_redis(), "--unixsocket", path, "--unixsocketperm", mode)
    assert stat.S_ISSOCK(os.stat(path).st_mode)
    assert stat.S_IMODE(os.stat(path).st_mode) == int(mode, 8)
    with Conn(path) as conn:
        assert conn("SET", "k", "v") == OK
        assert larder.once("GET", "k") == b"v"
        assert b"addr=" in conn("CLIENT", "INFO")
    larder.stop()
    assert not path.exists(), "the socket goes with the server"


def test_unix_socket_only(new_redis, tmp_path):
    path = tmp_path / "larder.sock"
    process = subprocess.Popen(
        [larder_path(), "--port", "0", "--unixsocket", path, "--upstream",
         f"127.0.0.1:{new_redis().port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        poll(path.exists, 10.0)
        with Conn(path) as conn:
            poll(lambda: conn("SET", "k", "v") == OK, 5.0)
            assert conn("GET", "k") == b"v"
        assert listening(process.pid) == []
    finally:
        process.terminate()
        assert process.wait(20) == 0


def test_a_stale_socket_file_is_replaced(tmp_path):
    path = tmp_path / "larder.sock"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
    larder = Larder(None, "--unixsocket", path)
    try:
        with Conn(path) as conn:
            assert conn("PING") == b"PONG"
        larder.kill()
        assert path.exists(), "SIGKILL leaves it behind"
        larder.start()
        with Conn(path) as conn:
            assert conn("PING") == b"PONG"
        larder.stop()
    finally:
        larder.discard()


def test_a_live_socket_is_not_stolen(new_larder, tmp_path):
    path = tmp_path / "larder.sock"
    new_larder(None, "--unixsocket", path)
    done = subprocess.run([larder_path(), "--port", str(free_port()), "--unixsocket", path],
                          capture_output=True, text=True, timeout=20)
    assert done.returncode == 1
    with Conn(path) as conn:
        assert conn("PING") == b"PONG"


def test_the_port_can_be_changed(new_larder):
    larder = new_larder()
    with larder.conn() as conn:
        port = free_port()
        assert conn("CONFIG", "SET", "port", port) == OK
        with Conn(("127.0.0.1", port)) as other:
            assert other("PING") == b"PONG"
        assert conn("PING") == b"PONG"
        with pytest.raises(OSError):
            Conn(("127.0.0.1", larder.port))
