"""The history checker (tests/history/history.c): what larder promises holds for every read, without
faults and with, and it would be noticed if a rule did not hold.

LARDER_HISTORY_SECONDS makes each run longer, LARDER_HISTORY_SEED repeats a run's choices, and
LARDER_HISTORY_OPTIONS is given to the checker on top (doc/development.md).
"""

import os
import re
import time

import pytest

from support.faults import FaultProxy, program, run
from support.servers import Larder

PING_INTERVAL_MS = 200
TIMEOUT_MS = 500
# What a busy machine may add to the bounds: this is a test of rules, not of speed.
NOISE_MS = 3000
PLAIN_SECONDS = 4
FAULT_SECONDS = 5
# A broken rule is found within a second or two; tries with fresh seeds go on until then.
FIND_SECONDS = 30

LIMITS = ("--upstream-ping-interval", PING_INTERVAL_MS, "--upstream-timeout", TIMEOUT_MS)
PLAIN = ("--bound", NOISE_MS, "--slack", NOISE_MS)
FAULTY = ("--bound", PING_INTERVAL_MS + TIMEOUT_MS + NOISE_MS,
          # A reply that was sent before the deadline may be on its way until the timeout.
          "--slack", TIMEOUT_MS + NOISE_MS)
FAULTS_THAT_SHOW = {
    "drop-before-send": (),
    "discard-doomed": ("split",),
    "epoch-on-reconnect": ("cut", "reset", "kill"),
}


class BrokenLarder(Larder):
    """larder, with a rule that the environment variable LARDER_BREAK_RULE breaks."""

    def argv(self):
        return [program("larder_broken"), *super().argv()[1:]]


@pytest.fixture
def servers():
    started = []
    yield started
    faults = []
    for server in reversed(started):
        try:
            if isinstance(server, Larder):
                server.stop()
        except AssertionError as fault:
            faults.append(str(fault))
        server.discard()
    assert not faults, "\n".join(faults)


def set_up(servers, redis, n_larders, with_faults, kind=Larder, env=None):
    """Starts larders, each with a fault proxy before its L2 if wanted; the checker's options."""
    options = ["--redis", redis.port]
    for i in range(n_larders):
        upstream = redis
        if with_faults:
            servers.append(FaultProxy(redis, seed=i + 1))
            options += ["--faults", servers[-1].control_path]
            upstream = servers[-1].upstream_value()
        larder = kind(upstream, *LIMITS, env=env, start=False)
        larder.start()
        servers.append(larder)
        larder.linked()
        options += ["--larder", larder.port]
    return options


def check(options, seconds):
    """Runs the checker; the number of violations, and all that it printed."""
    options = [*options, "--seconds", seconds]
    if "LARDER_HISTORY_SEED" in os.environ:
        options += ["--seed", os.environ["LARDER_HISTORY_SEED"]]
    options += os.environ.get("LARDER_HISTORY_OPTIONS", "").split()
    status, text = run("history", *options, deadline=2 * seconds + 120)
    print(text)
    last = re.fullmatch(r"(\d+) operations, (\d+) violations, seed \d+", text.splitlines()[-1])
    assert last and status == (int(last[2]) > 0), f"status {status}:\n{text}"
    assert int(last[1]) > 100 * seconds, "hardly anything was asked"
    return int(last[2]), text


def seconds_of(default):
    return int(os.environ.get("LARDER_HISTORY_SECONDS", default))


def hits(text):
    return sum(int(n) for n in re.findall(r"(\d+) hits", text))


@pytest.mark.parametrize("n_larders", (1, 2))
def test_without_faults(n_larders, redis, servers):
    options = set_up(servers, redis, n_larders, False)
    n, text = check([*options, *PLAIN], seconds_of(PLAIN_SECONDS))
    assert n == 0, text
    assert hits(text) > 100, "L1 has answered nothing to speak of"
    assert "0 writes without a known outcome, 0 faults" in text


@pytest.mark.parametrize("n_larders", (1, 2))
def test_with_faults(n_larders, redis, servers):
    options = set_up(servers, redis, n_larders, True)
    n, text = check([*options, *FAULTY], seconds_of(FAULT_SECONDS))
    assert n == 0, text
    assert hits(text) > 100, "L1 has answered nothing to speak of"
    assert int(re.search(r"(\d+) faults", text)[1]) > 3


@pytest.mark.parametrize("rule", FAULTS_THAT_SHOW)
def test_a_broken_rule_is_found(rule, redis, servers):
    kinds = FAULTS_THAT_SHOW[rule]
    options = set_up(servers, redis, 1, bool(kinds), BrokenLarder, {"LARDER_BREAK_RULE": rule})
    if kinds:
        options += ["--kinds", ",".join(kinds)]
    until = time.monotonic() + FIND_SECONDS
    while check([*options, *FAULTY, "--shown", 1], 1)[0] == 0:
        assert time.monotonic() < until, f"nobody has noticed that {rule} does not hold"


def test_no_rule_is_broken_by_default(redis, servers):
    options = set_up(servers, redis, 1, True, BrokenLarder, {"LARDER_BREAK_RULE": ""})
    n, text = check([*options, *FAULTY, "--kinds", "split,cut,reset,kill"], 1)
    assert n == 0, text
    assert "WITH A BROKEN RULE" in servers[-1].log()


def test_larder_itself_has_no_rule_to_break(redis, servers):
    options = set_up(servers, redis, 1, False, env={"LARDER_BREAK_RULE": "drop-before-send"})
    n, text = check([*options, *PLAIN], 1)
    assert n == 0, text
    assert "BROKEN" not in servers[-1].log()


def test_options_are_checked(redis):
    assert run("history", deadline=10)[0] == 2
    assert run("history", "--verbs", deadline=10)[1].startswith("exists,type,")
    for wrong in (("--only", "nonsense"), ("--kinds", "nonsense"), ("--seconds", "x"),
                  ("--larder", 1), ("--faults", "/nonexistent")):
        assert run("history", "--redis", redis.port, "--larder", redis.port, "--larder", redis.port,
                   *wrong, deadline=10)[0] == 2, wrong


def test_it_holds_for_redis_itself(redis):
    """The checker's own yardstick: a redis-server in larder's place is always right, but that its
    clock has whole milliseconds."""
    n, text = check(["--redis", redis.port, "--larder", redis.port, "--larder", redis.port,
                     "--bound", 0, "--slack", 20,
                     "--only", "get,mget,exists,hget,lrange,multi-get,set,set-px,getset,getdel,"
                     "pexpire,persist,del,rename,copy,restore,hset,hdel,multi-rpush,lpop,"
                     "sort-store,count,incr,flushdb"], 1)
    assert n == 0, text
