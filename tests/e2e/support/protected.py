"""A program: what a client from an address that isn't loopback gets, with and without a password.

    protected.py own|shared COMMAND [ARGUMENT …]

"own": this process is in a network namespace of its own, whose loopback interface it brings up with
one more address. "shared": the machine's own address is used. Prints one line a step.
"""

import fcntl
import socket
import struct
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.resp import Conn, poll  # noqa: E402
from support.servers import free_port  # noqa: E402

SIOCSIFFLAGS, SIOCSIFADDR = 0x8914, 0x8916
IFF_UP_RUNNING = 0x41
DOCUMENTATION = "192.0.2.1"         # RFC 5737


def request(name, body):
    return struct.pack("16s", name.encode()) + body.ljust(24, b"\0")


def bring_up():
    """Loopback up, and lo:1 with an address that no rule calls local."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, SIOCSIFFLAGS, request("lo", struct.pack("h", IFF_UP_RUNNING)))
        address = struct.pack("HH4s", socket.AF_INET, 0, socket.inet_aton(DOCUMENTATION))
        fcntl.ioctl(sock, SIOCSIFADDR, request("lo:1", address))
    return DOCUMENTATION


def own_address():
    """The address from which this machine would send; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect((DOCUMENTATION, 9))
        return sock.getsockname()[0]


def main(mode, *argv):
    address = bring_up() if mode == "own" else own_address()
    port = free_port()
    near, far = ("127.0.0.1", port), (address, port)
    server = subprocess.Popen([*argv, "--bind", address, "127.0.0.1", "--port", str(port)],
                              stdout=subprocess.DEVNULL)

    def up():
        try:
            with Conn(near) as conn:
                return conn("PING") == b"PONG"
        except OSError:
            return False
    try:
        poll(up, 10)
        with Conn(far) as conn:
            print(conn.until_closed().decode().strip())
        with Conn(near) as conn:
            conn("CONFIG", "SET", "protected-mode", "no")
        with Conn(far) as conn:
            print(conn("PING").decode())
            conn("CONFIG", "SET", "protected-mode", "yes")
            conn("CONFIG", "SET", "requirepass", "secret")
        with Conn(far) as conn:
            print(conn("PING").decode())
    finally:
        server.terminate()
        print("status", server.wait(10))


if __name__ == "__main__":
    main(*sys.argv[1:])
