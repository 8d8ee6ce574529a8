"""Starting, pinning, measuring and ending the servers of a benchmark.

Every server is private: on 127.0.0.1 and a port that the kernel said was free, with its files in a
temporary folder. A Fleet ends all it started, and the kernel does it should the script be killed.
"""

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections import namedtuple
from pathlib import Path

from lib import resp
from lib.machine import TOP

START_SECONDS = 10.0
STOP_SECONDS = 5.0
# Another process may take a port between the kernel's answer and the server's bind.
START_ATTEMPTS = 3
PR_SET_PDEATHSIG = 1

RESPONDER_SOURCE = TOP / "bench" / "responder.c"


class Problem(Exception):
    """Something that the reader of the message can mend."""


def find_program(name, why):
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/sbin")
    if path is None:
        raise Problem(f"{name} is not installed; it is {why}")
    return path


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# cpu_ns: time on a processor, of all threads; wait_ns: time ready to run, but not running.
# The ticks tell user from system time only: they are coarse, their sum is not used.
Cpu = namedtuple("Cpu", "cpu_ns wait_ns user_ticks system_ticks")


class Server:
    """A running server."""

    def __init__(self, name, process, port, log):
        self.name = name
        self.port = port
        self._process = process
        self._log = log

    @property
    def pid(self):
        return self._process.pid

    def is_alive(self):
        return self._process.poll() is None

    def cpu(self):
        """CPU time since the server's start."""
        cpu_ns = wait_ns = 0
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            fields = (task / "schedstat").read_text().split()
            cpu_ns += int(fields[0])
            wait_ns += int(fields[1])
        stat = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return Cpu(cpu_ns, wait_ns, int(stat[11]), int(stat[12]))

    def rss_bytes(self):
        """Resident memory, exact: statm lags behind by what each core has not added up yet."""
        for line in Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Rss:"):
                return int(line.split()[1]) * 1024
        raise Problem(f"no Rss in /proc/{self.pid}/smaps_rollup")

    def connect(self):
        return resp.Connection(self.port)

    def last_words(self):
        """The end of its log."""
        try:
            lines = self._log.read_text(errors="replace").strip().splitlines()
        except OSError:
            lines = []
        return "\n".join(lines[-8:]) or "(it printed nothing)"

    def stop(self):
        if not self.is_alive():
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Fleet:
    """All servers of a run. As a context manager, ends them whatever happens."""

    def __init__(self):
        self.folder = None
        self.servers = []
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._responder = None

    def __enter__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="larder-bench-"))
        return self

    def __exit__(self, *_):
        for server in reversed(self.servers):
            server.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def end(self, server):
        server.stop()
        self.servers.remove(server)

    def _spawn(self, argv, log, core):
        def settle_in():
            os.sched_setaffinity(0, {core})
            self._libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

        with open(log, "ab") as out:
            return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                    cwd=self.folder, start_new_session=True,
                                    preexec_fn=settle_in)

    def start(self, name, make_argv, core):
        """Starts a server on a core; make_argv(port) is its command line."""
        log = self.folder / f"{name.replace('/', '_')}-{len(self.servers)}.log"
        for attempt in range(START_ATTEMPTS):
            port = free_port()
            argv = [str(arg) for arg in make_argv(port)]
            try:
                process = self._spawn(argv, log, core)
            except OSError as error:
                raise Problem(f"{name}: can't run {argv[0]}: {error.strerror}") from error
            server = Server(name, process, port, log)
            self.servers.append(server)
            if self._is_up(server):
                return server
            self.end(server)
            if attempt + 1 == START_ATTEMPTS:
                raise Problem(f"{name} does not start ({' '.join(argv)}):\n{server.last_words()}")
        raise AssertionError

    @staticmethod
    def _is_up(server):
        """Waits until the server answers a PING, or is gone."""
        until = time.monotonic() + START_SECONDS
        while server.is_alive() and time.monotonic() < until:
            try:
                with server.connect() as connection:
                    connection.command("PING")
                # The port may be another's, and this server on its way to say so.
                return server.is_alive()
            except (OSError, resp.ReplyError):
                time.sleep(0.02)
        return False

    # What there is to compare

    def start_redis(self, name, core):
        program = find_program("redis-server", "what larder is compared with, and its upstream")
        return self.start(name, lambda port: [
            program, "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
            "--daemonize", "no", "--dir", self.folder, "--loglevel", "warning"], core)

    def start_larder(self, name, program, core, *options):
        return self.start(name, lambda port: [
            program, "--port", port, "--bind", "127.0.0.1", "--loglevel", "warning",
            *options], core)

    def start_nutcracker(self, name, program, core, upstream):
        def make_argv(port):
            conf = self.folder / f"nutcracker-{port}.yml"
            conf.write_text(
                "bench:\n"
                f"  listen: 127.0.0.1:{port}\n"
                "  redis: true\n"
                "  hash: fnv1a_64\n"
                "  distribution: ketama\n"
                "  preconnect: true\n"
                "  server_connections: 1\n"
                "  auto_eject_hosts: false\n"
                "  servers:\n"
                f"   - 127.0.0.1:{upstream.port}:1\n")
            return [program, "--conf-file", conf, "--stats-addr", "127.0.0.1",
                    "--stats-port", free_port(), "--pid-file", self.folder / f"{port}.pid",
                    "--output", "/dev/stderr", "--verbose", "4"]

        return self.start(name, make_argv, core)

    def _build_responder(self):
        compiler = find_program("cc", "needed to build bench/responder.c")
        program = self.folder / "responder"
        done = subprocess.run([compiler, "-std=gnu11", "-O2", "-o", program, RESPONDER_SOURCE],
                              stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                              check=False)
        if done.returncode != 0:
            raise Problem(f"bench/responder.c does not compile:\n{done.stderr.strip()}")
        return program

    def start_responder(self, name, core):
        if self._responder is None:
            self._responder = self._build_responder()
        # It prints the port that the kernel gave it; until then there is none to connect to.
        log = self.folder / f"{name}.log"
        server = Server(name, self._spawn([self._responder], log, core), 0, log)
        self.servers.append(server)
        until = time.monotonic() + START_SECONDS
        while not log.read_text().endswith("\n"):
            if not server.is_alive() or time.monotonic() > until:
                raise Problem(f"{name} does not start:\n{server.last_words()}")
            time.sleep(0.01)
        server.port = int(log.read_text())
        return server
