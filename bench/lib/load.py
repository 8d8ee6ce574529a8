"""The load: keys, redis-benchmark's runs, and what a server spent on one of them."""

import csv
import os
import subprocess
from collections import namedtuple

from lib import resp
from lib.servers import Problem

CLIENTS = 50
VALUE_BYTES = 64
# Below this, clocks and connecting weigh in; above, redis-benchmark's counter is an int.
REQUESTS_MIN = 5_000
REQUESTS_MAX = 2_000_000_000
# For the run that finds out how many requests fill the wanted time.
CALIBRATION_REQUESTS = {1: 5_000, 16: 60_000}
CALIBRATION_REQUESTS_DEFAULT = 150_000
# redis-benchmark waits for ever for a server that hangs.
PATIENCE = 10
PATIENCE_SECONDS = 30.0
# It asks for CONFIG, which not every server answers.
HARMLESS = ("WARNING: Could not fetch server CONFIG",)

Run = namedtuple("Run", "requests rate p50_ms p99_ms cpu_ns wait_ns user_ticks system_ticks")


def key(number):
    """The key that redis-benchmark makes of a random number."""
    return b"key:%012d" % number


def fill(server, n_keys):
    """Writes all keys that redis-benchmark may ask for."""
    value = b"x" * VALUE_BYTES
    with server.connect() as connection:
        requests = (resp.encode(b"SET", key(i), value) for i in range(n_keys))
        for _ in connection.pipeline(requests):
            pass


def read_all(server, n_keys):
    """Reads all keys, and fails unless each has its value."""
    with server.connect() as connection:
        requests = (resp.encode(b"GET", key(i)) for i in range(n_keys))
        for i, value in enumerate(connection.pipeline(requests)):
            if value is None or len(value) != VALUE_BYTES:
                raise Problem(f"{server.name}: GET of {key(i).decode()} gives {value!r}")


class Client:
    """redis-benchmark, on its own core."""

    def __init__(self, program, core, n_keys):
        self._program = program
        self._core = core
        self._n_keys = n_keys

    def _benchmark(self, server, operation, pipeline, requests, seconds):
        argv = [self._program, "-h", "127.0.0.1", "-p", server.port, "-c", CLIENTS,
                "-d", VALUE_BYTES, "-r", self._n_keys, "-t", operation, "-P", pipeline,
                "-n", requests, "--csv"]
        try:
            done = subprocess.run(
                [str(arg) for arg in argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, timeout=seconds * PATIENCE + PATIENCE_SECONDS,
                check=False, text=True,
                preexec_fn=lambda: os.sched_setaffinity(0, {self._core}))
        except subprocess.TimeoutExpired as error:
            raise Problem(f"{server.name}: redis-benchmark does not end") from error
        complaints = [line for line in done.stderr.splitlines()
                      if line.strip() and line.strip() not in HARMLESS]
        rows = list(csv.DictReader(done.stdout.splitlines()))
        if done.returncode != 0 or complaints or len(rows) != 1:
            words = "\n".join(complaints) or done.stdout.strip() or "no output"
            raise Problem(f"{server.name}: redis-benchmark -t {operation} -P {pipeline} "
                          f"ended with status {done.returncode}: {words}")
        return rows[0]

    def calibrate(self, server, operation, pipeline, seconds):
        """How many requests take about that time; it also warms both sides up."""
        requests = CALIBRATION_REQUESTS.get(pipeline, CALIBRATION_REQUESTS_DEFAULT)
        row = self._benchmark(server, operation, pipeline, requests, 1)
        wanted = int(float(row["rps"]) * seconds)
        return max(REQUESTS_MIN, min(wanted, REQUESTS_MAX))

    def run(self, server, operation, pipeline, requests, seconds):
        """One measured run. The requests are rounded to whole pipelines, which is what
        redis-benchmark sends."""
        requests = -(-requests // pipeline) * pipeline
        before = server.cpu()
        row = self._benchmark(server, operation, pipeline, requests, seconds)
        after = server.cpu()
        return Run(requests, float(row["rps"]), float(row["p50_latency_ms"]),
                   float(row["p99_latency_ms"]), *(b - a for a, b in zip(before, after)))
