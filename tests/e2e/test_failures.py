"""Each fault of L2 that doc/failures.md has a row for: what clients see, and what tells of it. A
scenario's name is the first column of its row. Faults of larder itself and of its clients, the
second table of the page, are tested where their subjects are."""

import re
import signal
import time

import pytest

from support.relay import Relay
from support.resp import NIL, OK, Error, encode, poll
from support.rig import FAST, Rig
from support.seen import (WAIT, answers_locally, back, explain, is_upstream_error, l1, l2_figure,
                          state)
from support.servers import ROOT, free_port
from support.shifted import Shifted
from support.stats import info

SCENARIOS = {}


def row(name):
    """Makes a function the scenario of the row of that name."""
    def keep(scenario):
        assert name not in SCENARIOS
        SCENARIOS[name] = scenario
        return scenario
    return keep


@pytest.fixture
def rig(request):
    rig = Rig(request)
    yield rig
    rig.close()
    if rig.l2 is not None and rig.l2.frozen:
        rig.l2.signal(signal.SIGCONT)


# L2 or the way to it is gone

@row("killed")
def killed(rig):
    conn = rig.start()
    rig.fill()
    flushes = l1(conn, "flushes_link")
    rig.l2.kill()
    rig.is_down(b"is down: ")
    assert l1(conn, "flushes_link") == flushes + 1
    assert l2_figure(conn, "breaker") in (b"open", b"half-open")
    poll(lambda: l2_figure(conn, "connects_failed") >= 2, WAIT)
    before = rig.connects()
    rig.l2.start()
    rig.direct = rig.l2.conn()
    rig.is_back()
    assert rig.connects() == before + 1
    assert conn("GET", "k") is NIL, "L2 came back empty, so L1 must not remember"
    assert "lost: " in rig.larder.log() and "is up: " in rig.larder.log()


@row("stopped (SIGSTOP)")
def stopped(rig):
    conn = rig.start()
    rig.fill()
    with rig.larder.conn() as other:
        rig.l2.signal(signal.SIGSTOP)
        begin = time.monotonic()
        conn.send(encode("SET", "k", "w"))
        answers_locally(other)
        assert is_upstream_error(conn.read().value)
        assert time.monotonic() - begin < 5.0, "upstream-timeout is 0.5 s"
        poll(lambda: is_upstream_error(conn("GET", "k")), WAIT, why="L1 is not trusted any more")
        rig.is_down()
        assert l2_figure(conn, "timeouts") >= 1
    rig.l2.signal(signal.SIGCONT)
    rig.is_back()
    assert conn("GET", "k") in (b"v", b"w"), "the write that failed may have run"


@row("half-open link")
def half_open(rig):
    """Nobody says that the connection has ended: the ping finds out."""
    conn = rig.start(proxied=True)
    rig.fill()
    connects = rig.connects()
    rig.proxy("freeze all")
    rig.direct("SET", "k", "new")
    poll(lambda: conn("GET", "k") != b"v", WAIT, why="the old value is not trusted any more")
    rig.is_down()
    rig.proxy("cut")
    rig.proxy("clear")
    rig.is_back()
    assert rig.connects() > connects and conn("GET", "k") == b"new"


@row("refused")
def refused(rig):
    conn = rig.start(proxied=True)
    rig.fill()
    rig.proxy("refuse")
    rig.proxy("cut")
    rig.is_down(b"Connection refused")
    rig.proxy("accept")
    rig.is_back()
    port = free_port()
    late = rig.make("new_larder")(f"127.0.0.1:{port}", *FAST)
    with late.conn() as conn:
        answers_locally(conn)
        poll(lambda: is_upstream_error(conn("GET", "k")), WAIT)
        rig.make("new_redis")(port=port)
        poll(lambda: back(conn), WAIT, why="started before L2")


@row("flapping")
def flapping(rig):
    """One reply for each command, and no write twice."""
    conn = rig.start(proxied=True)
    rig.fill()
    rig.proxy("storm", 20, 40)
    done = errors = 0
    until = time.monotonic() + 1.5
    while time.monotonic() < until:
        got = conn.pipeline([("INCR", "n"), ("PING",), ("GET", "sie:k"), ("PING",)])
        assert got[1] == got[3] == b"PONG" and got[2] == b"v", got
        done += isinstance(got[0], int)
        assert isinstance(got[0], int) or is_upstream_error(got[0]), got[0]
        errors += not isinstance(got[0], int)
    rig.is_back()
    assert errors > 0
    assert done <= int(rig.direct("GET", "n") or 0) <= done + errors
    assert l1(conn, "flushes_link") >= 2


@row("slow")
def slow(rig):
    conn = rig.start("--upstream-timeout", 5000, proxied=True)
    rig.fill()
    check = rig.same_link()
    rig.proxy("delay", 100)
    with rig.larder.conn(deadline=WAIT) as other:
        other.send(encode("GET", "cold"))
        assert conn("GET", "k") == b"v", "hits don't wait"
        assert other.quiet(0.05) == (b"", False)
        assert other.read().value is NIL
    poll(lambda: conn("GET", f"cold {time.monotonic()}") is NIL
         and l2_figure(conn, "rtt_us") > 100_000, WAIT)
    check()
    rig.proxy("delay", 400)     # and 800 ms is too slow
    conn("CONFIG", "SET", "upstream-timeout", 500)
    poll(lambda: is_upstream_error(conn("GET", f"cold {time.monotonic()}")), WAIT)
    rig.proxy("clear")
    rig.is_back()


@row("DEBUG SLEEP")
def sleeps(rig):
    conn = rig.start()
    rig.fill()
    rig.direct.send(encode("DEBUG", "SLEEP", 2))
    poll(lambda: is_upstream_error(conn("GET", f"cold {time.monotonic()}")), WAIT)
    rig.is_down()
    assert rig.direct.read().value == OK
    rig.is_back()


@row("busy script")
def busy(rig):
    conn = rig.start(l2=("--busy-reply-threshold", "50"))
    rig.fill()
    check = rig.same_link()
    rig.direct.send(encode("EVAL", "while true do end", 0))

    def words():
        got = conn("DBSIZE")
        return isinstance(got, Error) and got.startswith(b"BUSY ")
    poll(words, WAIT)
    assert conn("SET", "x", "v").startswith(b"BUSY ")
    assert conn("GET", "k") == b"v", "nobody can have changed it"
    assert conn("SCRIPT", "KILL") == OK
    assert isinstance(rig.direct.read().value, Error)
    rig.is_back()
    check()


@row("name does not resolve")
def unresolved(rig):
    larder = rig.make("new_larder")("no-such-host.invalid:6379", *FAST)
    with larder.conn(deadline=WAIT) as conn:
        poll(lambda: l2_figure(conn, "connects_failed") >= 1, WAIT)
        assert is_upstream_error(conn("GET", "k")) and is_upstream_error(conn("SET", "k", "v"))
        answers_locally(conn)


@row("maxclients reached")
def maxclients(rig):
    conn = rig.start()
    rig.fill()
    check = rig.same_link()
    assert rig.direct("CONFIG", "SET", "maxclients", 1) == OK
    assert conn("SET", "k", "v") == OK and conn("GET", "k") == b"v"
    assert isinstance(conn("BLPOP", "l", 1), Error), "it needs a link of its own"
    check()
    rig.kill_link()
    rig.is_down(b"max number of clients reached")
    assert rig.direct("CONFIG", "SET", "maxclients", 10000) == OK
    rig.is_back()


# L2 answers, with errors

@row("LOADING")
def loading(rig):
    conn = rig.start(l2=("--loading-process-events-interval-bytes", "1024"))
    rig.fill()
    rig.direct("DEBUG", "POPULATE", 1000)
    assert rig.direct("SAVE") == OK
    rig.l2.kill()
    rig.l2.options += ("--key-load-delay", "2000")
    rig.l2.start()
    rig.direct = rig.l2.conn()
    poll(lambda: conn("SET", "k", "w").startswith(b"LOADING "), WAIT)
    assert conn("GET", "k").startswith((b"LOADING ", b"v"))
    assert conn("GET", "sie:k") == b"v"
    assert l2_figure(conn, "breaker") == b"closed"
    rig.is_back()
    assert conn("GET", "k") == b"v" and conn("GET", "key:999") == b"value:999"


@row("MASTERDOWN")
def masterdown(rig):
    conn = rig.start(l2=("--replica-serve-stale-data", "no"))
    rig.fill()
    check = rig.same_link()
    rig.direct("REPLICAOF", "127.0.0.1", free_port())
    assert conn("GET", "cold").startswith(b"MASTERDOWN ")
    assert conn("GET", "k") == b"v", "nothing has changed it"
    assert state(conn, "cold") == "none"
    check()
    assert conn("SET", "k", "w").startswith(b"READONLY ")
    # It was a primary, so it is looked up again, which drops L1.
    poll(lambda: conn("GET", "k").startswith(b"MASTERDOWN "), WAIT)
    rig.direct("REPLICAOF", "NO", "ONE")
    rig.is_back()


@row("CLUSTERDOWN")
def clusterdown(rig):
    conn = rig.start(l2=("--cluster-enabled", "yes", "--cluster-port", free_port()))
    check = rig.same_link()
    assert conn("GET", "cold").startswith(b"CLUSTERDOWN ")
    assert conn("SET", "k", "v").startswith(b"CLUSTERDOWN ")
    assert state(conn, "cold") == "none"
    assert rig.direct("CLUSTER", "ADDSLOTSRANGE", 0, 16383) == OK
    rig.is_back()
    check()


@row("OOM")
def out_of_memory(rig):
    conn = rig.start()
    rig.fill()
    check = rig.same_link()
    rig.direct("CONFIG", "SET", "maxmemory", 1)
    for command in (("SET", "x", "v"), ("LPUSH", "l", "a"), ("SET", "sie:x", "v")):
        assert conn(*command).startswith(b"OOM "), command
    assert conn("GET", "k") == b"v" and conn("GET", "cold") is NIL
    assert conn("DEL", "k") == 1
    rig.direct("CONFIG", "SET", "maxmemory", 0)
    rig.is_back()
    check()


@row("MISCONF")
def misconf(rig):
    conn = rig.start(l2=("--dbfilename", "blocked.rdb"))
    rig.fill()
    check = rig.same_link()
    (rig.l2.dir / "blocked.rdb").mkdir()
    assert rig.direct("CONFIG", "SET", "save", "3600 1000000") == OK
    rig.direct("BGSAVE")
    poll(lambda: rig.direct("SET", "y", "v").startswith(b"MISCONF "), WAIT)
    assert conn("SET", "x", "v").startswith(b"MISCONF ")
    assert conn("GET", "k") == b"v" and conn("GET", "cold") is NIL
    sent = l2_figure(conn, "net_writes")
    poll(lambda: l2_figure(conn, "net_writes") >= sent + 3, WAIT, why="pings, which L2 refuses, too")
    rig.direct("CONFIG", "SET", "save", "")
    rig.is_back()
    check()


@row("READONLY: demoted")
def demoted(rig):
    """A new primary takes over, and this one becomes its replica: its data, no writes. The name is
    looked up again, and not at once again while it leads to a replica."""
    conn = rig.start()
    rig.fill()
    primary = rig.make("new_redis")("--repl-diskless-sync-delay", "0")
    primary.once("SET", "k", "the primary's")
    before = rig.connects()
    rig.direct("REPLICAOF", "127.0.0.1", primary.port)
    poll(lambda: conn("SET", "x", "v").startswith(b"READONLY "), WAIT)
    poll(lambda: rig.connects() > before, WAIT, why="the primary is looked up again")
    assert "no primary any more" in rig.larder.log()
    poll(lambda: conn("GET", "k") == b"the primary's", WAIT)
    primary.once("SET", "k", "newer")
    poll(lambda: conn("GET", "k") == b"newer", WAIT, why="a replica tells of what it is told")
    for _ in range(50):
        assert conn("SET", "k", "v").startswith((b"READONLY ", b"UPSTREAM "))
    assert rig.connects() <= before + 5, "not at each refused write"
    poll(lambda: conn("GET", "k") == b"newer", WAIT)


@row("READONLY: promoted")
def promoted(rig):
    primary = rig.make("new_redis")("--repl-diskless-sync-delay", "0")
    primary.once("MSET", "k", "v", "sie:k", "v")
    conn = rig.start(l2=("--replicaof", f"127.0.0.1 {primary.port}"))
    poll(lambda: conn("GET", "k") == b"v", WAIT)
    check = rig.same_link()
    assert conn("SET", "k", "w").startswith(b"READONLY ")
    primary.kill()
    assert conn("GET", "k") == b"v"
    rig.direct("REPLICAOF", "NO", "ONE")
    rig.is_back()
    assert conn("SET", "k", "w") == OK and conn("GET", "k") == b"w"
    check()


@row("password changed")
def password_changed(rig):
    """The link lives on with the old one, and can't be made anew without the new one."""
    conn = rig.start("--upstream-password", "old-horse", l2=("--requirepass", "old-horse"))
    rig.fill()
    check = rig.same_link()
    rig.direct("CONFIG", "SET", "requirepass", "new-staple")
    assert conn("SET", "k", "v") == OK and conn("GET", "k") == b"v"
    check()
    rig.kill_link()
    rig.is_down(b"WRONGPASS")
    text = rig.larder.log()
    assert 1 <= text.count("WRONGPASS") < 5 and "old-horse" not in text
    assert b"WRONGPASS" in l2_figure(conn, "last_error")
    assert conn("CONFIG", "SET", "upstream-password", "new-staple") == OK
    rig.is_back()


@row("user's password changed")
def user_changed(rig):
    rig.l2 = rig.make("new_redis")()
    rig.l2.once("ACL", "SETUSER", "app", "on", ">old-horse", "~*", "&*", "+@all")
    conn = rig.front("--upstream-username", "app", "--upstream-password", "old-horse",
                     upstream=f"127.0.0.1:{rig.l2.port}")
    rig.fill()
    rig.direct("ACL", "SETUSER", "app", "<old-horse", ">new-staple")
    assert conn("SET", "k", "v") == OK
    assert rig.direct("CLIENT", "KILL", "USER", "app") >= 1
    rig.is_down(b"WRONGPASS")
    assert conn("CONFIG", "SET", "upstream-password", "new-staple") == OK
    rig.is_back()


# What L2 tells of changes

@row("CLIENT KILL of the link")
def link_killed(rig):
    conn = rig.start()
    rig.fill()
    connects, flushes = rig.connects(), l1(conn, "flushes_link")
    for i in range(5):
        rig.kill_link()
        poll(lambda: rig.connects() == connects + i + 1 and l2_figure(conn, "up"), WAIT)
        rig.is_back()
    assert l1(conn, "flushes_link") == flushes + 5
    assert conn("GET", "k") == conn("GET", "sie:k") == b"v"


@row("CLIENT KILL TYPE pubsub")
def pubsub_killed(rig):
    """Subscriptions come back by themselves; what was published meanwhile nobody hears."""
    conn = rig.start()
    rig.fill()
    check = rig.same_link()
    with rig.larder.conn() as listener:
        assert listener("SUBSCRIBE", "c")[2] == 1
        poll(lambda: rig.direct("PUBLISH", "c", "first") == 1, WAIT)
        assert listener.read().value == [b"message", b"c", b"first"]
        assert rig.direct("CLIENT", "KILL", "TYPE", "pubsub") == 1
        poll(lambda: rig.direct("PUBLISH", "c", "second") == 1, WAIT)
        assert listener.read().value == [b"message", b"c", b"second"]
    check()
    assert conn("GET", "k") == b"v"


@row("CLIENT TRACKING denied")
def tracking_denied(rig):
    """An ACL that allows no tracking: L1 lives by l1-ttl, which bounds what it does not know. And one
    that allows it again."""
    rig.l2 = rig.make("new_redis")()
    rig.l2.once("ACL", "SETUSER", "app", "on", ">pw", "~*", "&*", "+@all", "-client|tracking")
    conn = rig.front("--l1-ttl", 1, "--l1-ttl-jitter", 0, "--coherence-retry-interval", 100,
                     upstream=f"redis://app:pw@127.0.0.1:{rig.l2.port}")
    rig.fill()
    assert info(conn, "larder")["larder_coherence"] == "ttl"
    assert "coherence steps down from tracking to ttl" in rig.larder.log()
    assert l2_figure(conn, "coherence_step_downs") == 1
    rig.direct("SET", "k", "new")
    poll(lambda: conn("GET", "k") == b"new", WAIT, why="after l1-ttl at the latest")
    assert conn("SET", "k", "mine") == OK and conn("GET", "k") == b"mine"
    rig.l2.once("ACL", "SETUSER", "app", "+client|tracking")
    poll(lambda: l2_figure(conn, "coherence") == b"tracking", WAIT)
    assert l2_figure(conn, "coherence_step_ups") == 1
    rig.is_back()


@row("CLIENT TRACKING OFF")
def tracking_off(rig):
    """Nobody but larder's own connection can say that; a relay does."""
    rig.l2 = rig.make("new_redis")()
    relay = Relay(rig.l2)
    conn = rig.front("--l1-ttl", 3600, upstream=f"127.0.0.1:{relay.port}")
    rig.fill()
    poll(lambda: rig.l2.calls(r"client\|trackinginfo") > 1, WAIT, why="larder asks")
    relay.say("CLIENT", "TRACKING", "OFF")
    poll(lambda: l2_figure(conn, "coherence_losses") == 1, WAIT)
    assert "does not track changes any more" in rig.larder.log()
    rig.direct("SET", "k", "new")
    poll(lambda: conn("GET", "k") == b"new", WAIT, why="L1 was dropped")
    rig.is_back()


@row("tracking-table-max-keys too low")
def tracking_table(rig):
    conn = rig.start()
    assert rig.direct("CONFIG", "SET", "tracking-table-max-keys", 10) == OK
    keys = [f"k{i}" for i in range(200)]
    rig.direct("MSET", *[w for k in keys for w in (k, "old")])
    assert conn("MGET", *keys) == [b"old"] * 200
    poll(lambda: l1(conn, "size") <= 20, WAIT, why="what L2 forgets is dropped")
    assert l2_figure(conn, "invalidations") >= 180
    rig.direct("MSET", *[w for k in keys for w in (k, "new")])
    poll(lambda: conn("MGET", *keys) == [b"new"] * 200, WAIT)


@row("FLUSHALL")
def flushall(rig):
    conn = rig.start()
    rig.fill()
    assert rig.direct("FLUSHALL") == OK
    poll(lambda: conn("GET", "k") is NIL and conn("GET", "sie:k") is NIL, WAIT)
    assert l1(conn, "flushes_push") == 1 and l2_figure(conn, "invalidations_all") == 1
    assert explain(conn, "k")["last_flush"] == "flush"


@row("SWAPDB")
def swapdb(rig):
    """At L2 directly, nobody is told: l1-ttl bounds it. Through larder, L1 is dropped."""
    conn = rig.start("--policy", "short: ttl=500ms")
    rig.direct("SELECT", 1)
    rig.direct("MSET", "k", "of 1", "short:k", "of 1")
    rig.direct("SELECT", 0)
    rig.direct("MSET", "k", "of 0", "short:k", "of 0")
    assert conn("MGET", "k", "short:k") == [b"of 0"] * 2
    rig.direct("SWAPDB", 0, 1)
    poll(lambda: conn("GET", "short:k") == b"of 1", WAIT)
    assert conn("GET", "k") == b"of 0"
    assert conn("CACHE", "FLUSH") == OK
    assert conn("GET", "k") == b"of 1"
    assert conn("SWAPDB", 0, 1) == OK
    assert conn("MGET", "k", "short:k") == [b"of 0"] * 2


# Time

@row("L2's clock jumps")
def clock_jumps(rig):
    rig.l2 = Shifted(rig.make("tmp_path"))
    try:
        conn = rig.front(upstream=f"127.0.0.1:{rig.l2.port}")
        check = rig.same_link()
        for key in ("past", "future"):
            rig.direct("SET", key, "v", "PX", 100_000)
        assert conn("GET", "past") == b"v"
        rig.l2.shift(-3600)
        poll(lambda: rig.direct("PTTL", "past") > 3_600_000, WAIT)
        assert conn("GET", "past") == b"v" and conn("PTTL", "past") <= 100_000
        conn("CACHE", "FLUSH")
        assert conn("GET", "past") == b"v" and conn("PTTL", "past") > 3_600_000
        rig.l2.shift(0)
        assert conn("GET", "future") == b"v"
        rig.l2.shift(3600)
        poll(lambda: conn("GET", "future") is NIL, WAIT, why="L2 deletes it, and says so")
        rig.l2.shift(0)
        rig.is_back()
        check()
    finally:
        rig.l2.discard()


# The page

@pytest.mark.parametrize("name", SCENARIOS)
def test_fault(name, rig):
    SCENARIOS[name](rig)


def test_each_row_of_the_page_has_a_scenario():
    """And each scenario its row."""
    page = (ROOT / "doc" / "failures.md").read_text().split("## Faults of L2")[1].split("\n## ")[0]
    rows = re.findall(r"^\| \*\*(.+?)\*\*", page, re.M)
    assert sorted(rows) == sorted(SCENARIOS)
