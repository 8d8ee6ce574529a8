"""Starts, watches and stops private servers: redis-server and larder.

Owns processes, their folders, ports and logs. Must not know of tests.
Invariants: a port comes from the kernel and is tried again when somebody was faster; a process is
ended by its own id; larder leaves with status 0 on SIGTERM and without a word from a sanitizer.
"""

import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from support.resp import Closed, Conn, Deadline, poll

ROOT = Path(__file__).resolve().parents[3]
REDIS = os.environ.get("REDIS_SERVER", "redis-server")
START_DEADLINE = 20.0
STOP_DEADLINE = 20.0
COMPLAINTS = re.compile(
    r"AddressSanitizer|LeakSanitizer|UndefinedBehaviorSanitizer|runtime error:|[Aa]ssertion|"
    r"Sanitizer:DEADLYSIGNAL|stack smashing|double free|corrupted")


class Failure(AssertionError):
    """A server did not start, or did not leave as it should."""


def larder_path():
    """The program under test: $LARDER, or src/larder of this tree."""
    return Path(os.environ.get("LARDER") or ROOT / "src" / "larder").resolve()


def free_port(host="127.0.0.1"):
    """A port that the kernel says nobody listens on now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as sock:
        sock.bind((host, 0))
        return sock.getsockname()[1]


def limits(nofile):
    """What the child sets before it starts: no core files, and its own limit of descriptors."""
    def apply():
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if nofile:
            resource.setrlimit(resource.RLIMIT_NOFILE, (nofile, nofile))
    return apply


class Server:
    """A process with a folder, a log and an address."""

    name = "server"
    running = []            # all that live now, for reports and for the end of the session

    def __init__(self):
        self.dir = Path(tempfile.mkdtemp(prefix=f"e2e-{self.name}-"))
        self.log_path = self.dir / "log"
        self.log_path.touch()
        self.process = None
        self.address = None
        self.nofile = None
        self.stopped = False
        self.leaving = False
        self.frozen = False

    def spawn(self, argv, env=None):
        self.frozen = False
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=self.dir, env=env, preexec_fn=limits(self.nofile), start_new_session=True)
        Server.running.append(self)

    def log(self, since=0):
        return self.log_path.read_bytes()[since:].decode(errors="replace")

    def log_size(self):
        return self.log_path.stat().st_size

    @property
    def pid(self):
        return self.process.pid

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def conn(self, proto=2, **kwargs):
        return Conn(self.address, proto, **kwargs)

    def once(self, *words, **kwargs):
        """One command on a connection of its own; its value."""
        with self.conn(**kwargs) as conn:
            return conn(*words)

    def answers(self):
        """True when something RESP answers; False while starting; Failure when it died."""
        if not self.alive():
            raise Failure(f"{self.name} ended at start ({self.process.returncode}):\n{self.log()}")
        try:
            with Conn(self.address, deadline=2) as conn:
                conn("PING")
                return True
        except (OSError, Closed, Deadline):
            return False

    def signal(self, number):
        self.leaving = self.leaving or number in (signal.SIGTERM, signal.SIGINT)
        if number in (signal.SIGSTOP, signal.SIGCONT):
            self.frozen = number == signal.SIGSTOP
        os.kill(self.pid, number)

    def forget(self):
        if self in Server.running:
            Server.running.remove(self)

    def kill(self):
        """SIGKILL, and wait."""
        if self.alive():
            self.signal(signal.SIGKILL)
        if self.process is not None:
            self.process.wait()
        self.forget()

    def end(self, deadline=STOP_DEADLINE):
        """SIGTERM, and wait; the exit status. SIGKILL and Failure at the deadline."""
        # A SIGCONT takes back the SIGSTOP with which LeakSanitizer stops a process that leaves, and
        # it would wait for ever: only those get one that were stopped.
        if self.alive():
            if self.frozen:
                self.signal(signal.SIGCONT)
            self.signal(signal.SIGTERM)
        try:
            return self.process.wait(deadline)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failure(f"{self.name} ignored SIGTERM for {deadline} s:\n{self.log()}") from None
        finally:
            self.forget()

    def discard(self):
        """Ends what still runs and removes the folder."""
        self.kill()
        shutil.rmtree(self.dir, ignore_errors=True)

    def memory(self):
        """Resident bytes now."""
        with open(f"/proc/{self.pid}/statm", encoding="ascii") as statm:
            return int(statm.read().split()[1]) * resource.getpagesize()

    def cpu(self):
        """User and system seconds so far."""
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Redis(Server):
    """A private redis-server without persistence, on a port and on a unix socket."""

    name = "redis"

    def __init__(self, *options, port=None):
        super().__init__()
        self.options = options
        self.port = port
        self.path = self.dir / "redis.sock"
        self.start()

    def start(self, port=None):
        """Starts it, on the same port as before where it had one."""
        port = port or self.port
        for attempt in range(5):
            self.port = port or free_port()
            self.address = ("127.0.0.1", self.port)
            self.spawn([REDIS, "--port", self.port, "--bind", "127.0.0.1", "--dir", self.dir,
                        "--unixsocket", self.path, "--save", "", "--appendonly", "no",
                        "--daemonize", "no", "--enable-debug-command", "local", *self.options])
            try:
                poll(self.answers, START_DEADLINE, why="redis-server answers")
                return self
            except Failure:
                if "in use" not in self.log() or attempt == 4:
                    raise
                self.kill()
                time.sleep(0.05)
        raise Failure("no free port for redis-server")

    def calls(self, command):
        """How often this server ran the command, by INFO commandstats."""
        stats = self.once("INFO", "commandstats")
        found = re.search(rb"cmdstat_%s:calls=(\d+)" % command.lower().encode(), stats)
        return int(found.group(1)) if found else 0

    def password(self):
        for at, option in enumerate(self.options):
            if option == "--requirepass":
                return self.options[at + 1]
        return None

    def once(self, *words, **kwargs):
        with self.conn(**kwargs) as conn:
            if self.password():
                conn("AUTH", self.password())
            return conn(*words)


class Larder(Server):
    """larder on a port of its own; upstream is a Redis, a directive's value, or None."""

    name = "larder"

    def __init__(self, upstream=None, *options, conf=None, env=None, nofile=None, start=True):
        super().__init__()
        self.conf = conf
        self.upstream = upstream
        self.options = options
        self.env = {**os.environ, **(env or {})}
        self.env["ASAN_OPTIONS"] = "detect_leaks=1:" + self.env.get("ASAN_OPTIONS", "")
        self.env["UBSAN_OPTIONS"] = "print_stacktrace=1:" + self.env.get("UBSAN_OPTIONS", "")
        self.nofile = nofile
        self.port = None
        if start:
            self.start()

    def argv(self):
        argv = [larder_path(), *([self.conf] if self.conf else []), "--port", self.port]
        if self.upstream is not None:
            argv += ["--upstream", self.upstream_value()]
        return argv + list(self.options)

    def upstream_value(self):
        if isinstance(self.upstream, Redis):
            return f"127.0.0.1:{self.upstream.port}"
        return self.upstream

    def start(self):
        """Starts it and waits until it answers; with an upstream, until that link is up."""
        self.stopped = self.leaving = False
        if not larder_path().is_file():
            raise Failure(f"no larder at {larder_path()}: build it, or set LARDER")
        for attempt in range(5):
            self.port = free_port()
            self.address = ("127.0.0.1", self.port)
            self.spawn(self.argv(), self.env)
            try:
                poll(self.answers, START_DEADLINE, why="larder answers")
                break
            except Failure:
                if "in use" not in self.log() or attempt == 4:
                    raise
                self.kill()
        if isinstance(self.upstream, Redis) and self.upstream.alive():
            self.linked()
        return self

    def linked(self, deadline=START_DEADLINE):
        """Waits until a command falls through to L2 and comes back."""
        def works():
            with self.conn() as conn:
                got = conn("DBSIZE")        # never answered by L1, and leaves nothing there
                return isinstance(got, int) or got.startswith(b"NOAUTH")
        poll(works, deadline, why="larder's link to L2")

    def complaints(self, since=0):
        """Lines of the log that a sanitizer or an assertion wrote."""
        return [l for l in self.log(since).splitlines() if COMPLAINTS.search(l)]

    def stop(self):
        """SIGTERM, or the signal that it has had; Failure unless it leaves in time, with 0 and a
        clean log."""
        died = None if self.alive() or self.leaving else self.process.returncode
        self.stopped = True
        status = self.end()
        text = self.log()
        if died is not None:
            raise Failure(f"larder had died ({died}):\n{text}")
        if status != 0:
            raise Failure(f"larder left with status {status}:\n{text}")
        if self.complaints():
            raise Failure(f"larder's log complains:\n{text}")
