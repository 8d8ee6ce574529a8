"""The fault proxy (tests/history/fault_proxy.c) as a server that tests start and command.

Owns its process and its control socket. Must not know of tests. It is found beside the larder under
test: `make check-programs` builds it there.
"""

import os
import socket
import subprocess

from support.resp import Conn, poll
from support.servers import START_DEADLINE, Failure, Server, larder_path

ANSWER_DEADLINE = 20.0


def program(name):
    """A program of tests/history, of the same build as the larder under test."""
    path = larder_path().parents[1] / "tests" / "history" / name
    if not path.is_file():
        raise Failure(f"no {path}: build it with make -C {larder_path().parents[1]} check-programs")
    return path


class FaultProxy(Server):
    """Relays connections to a Redis of 127.0.0.1, with faults on command.

    proxy("delay", 50), proxy("cut"), …: the commands are in the program's first comment. When the
    call returns, the fault is in force.
    """

    name = "proxy"

    def __init__(self, upstream, seed=1):
        super().__init__()
        self.upstream = upstream
        self.seed = seed
        self.port = None
        self.control_path = self.dir / "control"
        self.control = None
        self.start()

    def start(self):
        self.spawn([program("fault_proxy"), self.upstream.port, "--seed", self.seed,
                    "--control", self.control_path])
        poll(self.listens, START_DEADLINE, why="the fault proxy's port")
        self.control = socket.socket(socket.AF_UNIX)
        self.control.settimeout(ANSWER_DEADLINE)
        self.control.connect(str(self.control_path))

    def listens(self):
        if not self.alive():
            raise Failure(f"the fault proxy ended at start:\n{self.log()}")
        text = self.log()
        if not text.endswith("\n"):
            return False
        self.port = int(text)
        self.address = ("127.0.0.1", self.port)
        return True

    def __call__(self, *words):
        """One command; what it answers, without "ok"."""
        self.control.sendall(" ".join(str(w) for w in words).encode() + b"\n")
        got = b""
        while not got.endswith(b"\n"):
            data = self.control.recv(4096)
            if not data:
                raise Failure(f"the fault proxy ended:\n{self.log()}")
            got += data
        answer = got.decode().strip()
        if answer.startswith("error"):
            raise Failure(f"fault proxy: {words}: {answer}")
        return "" if answer == "ok" else answer

    def stats(self):
        """{"sessions": …, "accepted": …, "up": …, "down": …, "queued-max": …}"""
        words = self("stats").split()
        return {words[i]: int(words[i + 1]) for i in range(0, len(words), 2)}

    def conn(self, proto=2, **kwargs):
        return Conn(self.address, proto, **kwargs)

    def upstream_value(self):
        """For larder's directive `upstream`."""
        return f"127.0.0.1:{self.port}"

    def discard(self):
        if self.control is not None:
            self.control.close()
        super().discard()


def run(name, *options, deadline, given="", env=None):
    """Runs a program of tests/history to its end, `given` being its standard input. Its status and
    what it printed."""
    argv = [str(w) for w in (program(name), *options)]
    try:
        done = subprocess.run(argv, input=given.encode(), stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=deadline,
                              env={**os.environ, **(env or {})}, check=False)
    except subprocess.TimeoutExpired as late:
        text = (late.stdout or b"").decode(errors="replace")
        raise Failure(f"{' '.join(argv)}: not done after {deadline} s:\n{text[-4000:]}") from None
    return done.returncode, done.stdout.decode(errors="replace")
