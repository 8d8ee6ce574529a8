"""The modes of coherence: what each of them promises, stepping down and up, switching at run time, and
an upstream that stops tracking."""

import subprocess

import pytest

from support.relay import Relay
from support.resp import NIL, OK, Error, Push, flat_map, poll
from support.servers import Failure, Larder, Redis, larder_path
from support.stats import tier
import test_history as history
from test_coherence import CHANGES
from test_history import servers        # a fixture

SOON = ("--upstream-ping-interval", "100", "--coherence-retry-interval", "200")


def coherence(larder):
    """(configured, in force, steps down, steps up) by INFO; UPSTREAM LIST must say the same."""
    with larder.conn() as conn:
        text, nodes = conn.pipeline([("INFO", "larder", "l2"), ("UPSTREAM", "LIST")])
    fields = dict(l.split(":", 1) for l in text.decode().splitlines() if ":" in l)
    node = flat_map(nodes[0])
    names = ("coherence_configured", "coherence", "coherence_step_downs", "coherence_step_ups")
    shown = tuple(fields["l2_" + n] for n in names)
    assert fields["larder_coherence"] == shown[1]
    assert int(fields["l2_tracking"]) == (shown[1] in ("tracking", "broadcast"))
    assert tuple(str(n) for n in shown) == tuple(
        v.decode() if isinstance(v, bytes) else str(v) for v in (node[n] for n in names))
    return shown[0], shown[1], int(shown[2]), int(shown[3])


def in_force(larder, mode):
    poll(lambda: coherence(larder)[1] == mode, 10.0, why=f"coherence {mode}")


def losses(larder):
    with larder.conn() as conn:
        return tier(conn, "L2")["coherence_losses"]


def is_tracked(conn, key):
    return bool(flat_map(conn("CACHE", "EXPLAIN", key))["tracked"])


def fill(conn, direct, key, value):
    """Has the key in L1 with a value that L2 has now."""
    direct("SET", key, value)
    poll(lambda: conn("GET", key) == value.encode())
    assert conn("GET", key) == value.encode()


def sees_changes(conn, direct, key="probe"):
    """A change at L2 is seen, though the key was in L1."""
    for i in range(3):
        fill(conn, direct, key, f"value {i}")


def sees_nothing(conn, direct, key="probe"):
    """A change at L2 is not seen: L1 has been left alone."""
    fill(conn, direct, key, "old")
    direct("SET", key, "new")
    assert direct("GET", key) == b"new"
    for _ in range(5):
        direct("PING")
        assert conn("GET", key) == b"old"


# Broadcast


class Broadcasting:
    def __init__(self, *options):
        self.l2 = Redis()
        self.larder = Larder(self.l2, "--coherence", "broadcast", *options)


@pytest.fixture(scope="module")
def everything():
    """larder in mode broadcast, for all keys."""
    pair = Broadcasting()
    yield pair
    try:
        pair.larder.stop()
    finally:
        pair.larder.discard()
        pair.l2.discard()


@pytest.fixture
def broadcast(everything):
    everything.larder.once("FLUSHALL")
    yield everything
    if not everything.larder.alive():
        raise Failure(everything.larder.log())


@pytest.mark.parametrize("proto", (2, 3))
@pytest.mark.parametrize("name", CHANGES)
def test_a_direct_change_is_seen(name, proto, broadcast):
    commands, expected = CHANGES[name]
    with broadcast.l2.conn() as direct, broadcast.larder.conn(proto) as conn:
        direct("SET", "k", "old")
        poll(lambda: conn("GET", "k") == b"old")
        for command in commands:
            direct(*command)
        poll(lambda: conn("GET", "k") == expected)


def test_two_hundred_changes_one_after_another(broadcast):
    with broadcast.l2.conn() as direct, broadcast.larder.conn() as conn:
        for i in range(200):
            value = b"%d" % i
            direct("SET", "k", value)
            poll(lambda: conn("GET", "k") == value, every=0)
            assert conn("GET", "k") == value


OWN = {
    "SET": (("SET", "k", "new"), b"new"),
    "DEL": (("DEL", "k"), NIL),
    "a script with its key": (("EVAL", "return redis.call('set', KEYS[1], 'new')", 1, "k"), b"new"),
    "a script that hides its key": (("EVAL", "return redis.call('set', 'k', 'new')", 0), b"new"),
    "FLUSHDB": (("FLUSHDB",), NIL),
    "SORT STORE": (("SORT", "missing", "STORE", "k"), NIL),
}


@pytest.mark.parametrize("name", OWN)
def test_read_your_writes(name, broadcast):
    command, expected = OWN[name]
    with broadcast.larder.conn() as conn, broadcast.larder.conn() as other:
        for _ in range(30):
            conn("SET", "k", "old")
            poll(lambda: conn("GET", "k") == b"old" and conn("CACHE", "EXPLAIN", "k"))
            assert conn.pipeline([command, ("GET", "k")])[1] == expected
            assert conn("GET", "k") == expected
            poll(lambda: other("GET", "k") == expected, every=0)
            conn.pipeline([("MULTI",), ("SET", "k", "old"), command, ("EXEC",), ("GET", "k")])
            assert conn("GET", "k") == expected


def test_cached_replies(broadcast):
    with broadcast.l2.conn() as direct, broadcast.larder.conn() as conn:
        direct("HSET", "h", "f", 0)
        for i in range(1, 50):
            poll(lambda: conn("HGET", "h", "f") == b"%d" % (i - 1), every=0)
            direct("HSET", "h", "f", i)
        poll(lambda: conn("HGETALL", "h") == [b"f", b"49"])
        hits = tier(conn, "L1")["hits"]
        assert conn("HGETALL", "h") == [b"f", b"49"]
        assert tier(conn, "L1")["hits"] == hits + 1


def test_a_write_in_another_database_hides_nothing(broadcast):
    """With NOLOOP, L2 would forget to tell of a foreign write when larder writes a key of that name
    into another database in the same turn of L2's loop."""
    with broadcast.larder.conn() as conn, broadcast.larder.conn() as other, \
            broadcast.l2.conn() as direct, broadcast.l2.conn() as holder:
        other("SELECT", 3)
        for i in range(5):
            fill(conn, direct, "k", f"old {i}")
            holder.send(b"DEBUG SLEEP 0.1\r\n")     # what comes now runs in one turn
            direct.send(b"SET k new\r\n")
            assert other("SET", "k", "ours") == OK
            assert direct.read().value == OK and holder.read().value == OK
            poll(lambda: conn("GET", "k") == b"new")


def test_what_carries_state_is_unaffected(broadcast):
    with broadcast.larder.conn() as conn, broadcast.larder.conn() as other, \
            broadcast.l2.conn() as direct:
        conn("SUBSCRIBE", "c")
        assert direct("PUBLISH", "c", "hello") == 1
        assert conn.read().value == [b"message", b"c", b"hello"]
        conn("UNSUBSCRIBE", "c")
        other.send(b"BLPOP l 5\r\n")
        poll(lambda: b"blocked_clients:1" in direct("INFO", "clients"))
        conn("RPUSH", "l", "v")
        assert other.read().value == [b"l", b"v"]
        assert conn("LRANGE", "l", 0, -1) == []
        conn("SET", "k", 1)
        conn("WATCH", "k")
        direct("SET", "k", 2)
        assert conn.pipeline([("MULTI",), ("SET", "k", 3), ("EXEC",)])[2] is NIL
        poll(lambda: conn("GET", "k") == b"2")
        conn("SWAPDB", 0, 1)
        assert conn("GET", "k") is NIL
        conn("SWAPDB", 0, 1)
        assert conn("GET", "k") == b"2"


def test_prefixes(new_redis, new_larder):
    """Coherent inside, by l1-ttl outside."""
    l2 = new_redis()
    larder = new_larder(l2, "--coherence", "broadcast", "--broadcast-prefix", "user:", "item:",
                        "--l1-ttl", "2")
    assert coherence(larder) == ("broadcast", "broadcast", 0, 0)
    with larder.conn() as conn, l2.conn() as direct:
        sees_changes(conn, direct, "user:1")
        sees_changes(conn, direct, "item:")
        assert is_tracked(conn, "user:1") and is_tracked(conn, "item:")
        fill(conn, direct, "user", "old")
        assert not is_tracked(conn, "user")
        direct("SET", "user", "new")
        assert conn("GET", "user") == b"old"
        assert conn("SET", "user", "ours") == OK, "own writes are seen all the same"
        assert conn("GET", "user") == b"ours"
        direct("SET", "user", "new")
        poll(lambda: conn("GET", "user") == b"new", 5.0, why="l1-ttl is over")
        flushes = tier(conn, "L1")["flushes_push"]
        direct("FLUSHALL")
        poll(lambda: tier(conn, "L1")["flushes_push"] > flushes, why="told whatever the prefixes")
        assert conn("GET", "user") is NIL


def test_nothing_outside_the_prefixes_without_a_ttl(new_redis, new_larder):
    l2 = new_redis()
    larder = new_larder(l2, "--coherence", "broadcast", "--broadcast-prefix", "user:",
                        "--l1-ttl", "0")
    with larder.conn() as conn, l2.conn() as direct:
        sees_changes(conn, direct, "other")
        sees_changes(conn, direct, "user:1")
        before = l2.calls("get")
        for _ in range(5):
            conn("GET", "user:1")
            conn("GET", "other")
        assert l2.calls("get") - before == 5
        conn("CONFIG", "SET", "coherence", "ttl")
        in_force(larder, "ttl")
        before = l2.calls("get")
        for _ in range(5):
            conn("GET", "user:1")
        assert l2.calls("get") - before == 5


@pytest.mark.parametrize("words,complaint", (
    (("ab", "abc"), '"abc" overlaps with "ab": no prefix may begin with another one'),
    (("a", "b", "a"), '"a" overlaps with "a": no prefix may begin with another one'),
))
def test_overlapping_prefixes_are_refused(words, complaint, alone):
    got = subprocess.run([larder_path(), "--broadcast-prefix", *words, "--check-config"],
                         capture_output=True, text=True, timeout=20, check=False)
    assert got.returncode == 1
    assert "--broadcast-prefix: " + complaint in got.stdout + got.stderr
    with alone.larder.conn() as conn:
        got = conn("CONFIG", "SET", "broadcast-prefix", " ".join(words))
        assert got == (b"ERR CONFIG SET failed (possibly related to argument 'broadcast-prefix') - "
                       + complaint.encode())


# Clients that track


@pytest.mark.parametrize("flags", ((), ("BCAST",)))
def test_clients_that_track(flags, broadcast):
    with broadcast.larder.conn(3) as conn, broadcast.l2.conn() as direct:
        direct("SET", "k", 0)
        assert conn("CLIENT", "TRACKING", "ON", *flags) == OK
        for i in range(20):
            assert conn("GET", "k") == b"%d" % i
            conn.pushes.clear()
            direct("SET", "k", i + 1)
            poll(lambda: conn("PING") and Push([b"invalidate", [b"k"]]) in conn.pushes)
            poll(lambda: conn("GET", "k") == b"%d" % (i + 1))


# Steps


@pytest.mark.parametrize("mode", ("tracking", "broadcast"))
def test_steps_down_and_up(mode, new_redis, new_larder):
    """A user that may not track, and then may."""
    l2 = new_redis()
    l2.once("ACL", "SETUSER", "app", "on", ">pw", "~*", "&*", "+@all", "-client|tracking")
    larder = new_larder(f"redis://app:pw@127.0.0.1:{l2.port}", "--coherence", mode, *SOON)
    larder.linked()
    assert coherence(larder) == (mode, "ttl", 1, 0)
    warning = f"coherence steps down from {mode} to ttl, entries live by their TTL only"
    assert larder.log().count(warning) == 1 and "NOPERM" in larder.log()
    with larder.conn() as conn, l2.conn() as direct:
        sees_nothing(conn, direct)
        calls = l2.calls(r"client\|tracking")
        poll(lambda: l2.calls(r"client\|tracking") >= calls, 5.0)
        assert coherence(larder) == (mode, "ttl", 1, 0), "a refusal again is no further step"
        assert larder.log().count("steps down") == 1
        l2.once("ACL", "SETUSER", "app", "+client|tracking")
        in_force(larder, mode)
        assert coherence(larder) == (mode, mode, 1, 1)
        assert conn("GET", "probe") == b"new", "what was read untracked must be gone"
        sees_changes(conn, direct)
        assert f"coherence steps up from ttl to {mode}" in larder.log()
        assert tier(conn, "L1")["flushes_mode"] >= 1
        # It stays on, though larder may not say it any more; the next link has to do without.
        l2.once("ACL", "SETUSER", "app", "-client|tracking")
        sees_changes(conn, direct)
        l2.once("CLIENT", "KILL", "USER", "app")
        poll(lambda: conn("SET", "x", 1) == OK, 5.0)
        assert coherence(larder) == (mode, "ttl", 2, 1)
        sees_nothing(conn, direct)


def test_reset_of_the_counters(new_redis, new_larder):
    l2 = new_redis()
    l2.once("ACL", "SETUSER", "default", "-client|tracking")
    larder = new_larder(l2)
    assert coherence(larder) == ("tracking", "ttl", 1, 0)
    larder.once("CACHE", "RESETSTAT")
    assert coherence(larder) == ("tracking", "ttl", 0, 0)


def test_without_a_link(alone, new_redis, new_larder):
    with alone.larder.conn() as conn:
        assert b"larder_coherence:none\r" in conn("INFO", "larder")
    l2 = new_redis()
    larder = new_larder(l2, "--coherence", "broadcast")
    l2.kill()
    in_force(larder, "none")
    assert coherence(larder) == ("broadcast", "none", 0, 0)
    l2.start()
    in_force(larder, "broadcast")
    assert coherence(larder) == ("broadcast", "broadcast", 0, 0)


@pytest.fixture
def relayed(new_redis, new_larder):
    """(L2, relay, a function that starts a larder behind the relay)"""
    l2 = new_redis()
    relay = Relay(l2)

    def start(*options):
        larder = new_larder(f"127.0.0.1:{relay.port}", *SOON, *options)
        larder.linked()
        return larder
    return l2, relay, start


@pytest.mark.parametrize("mode,prefixes", (("tracking", ""), ("broadcast", ""),
                                           ("broadcast", "probe other")))
def test_lost_tracking_is_found(mode, prefixes, relayed):
    """Nobody told larder: it asks, drops L1, and has it switched on again."""
    l2, relay, start = relayed
    larder = start("--coherence", mode, "--broadcast-prefix", prefixes)
    with larder.conn() as conn, l2.conn() as direct:
        sees_changes(conn, direct)
        asked = l2.calls(r"client\|trackinginfo")
        poll(lambda: l2.calls(r"client\|trackinginfo") > asked + 1, 5.0, why="larder asks")
        assert losses(larder) == 0
        for i in range(1, 4):
            fill(conn, direct, "probe", "old")
            relay.say("CLIENT", "TRACKING", "OFF")
            poll(lambda: direct("SET", "probe", f"new {i}") and losses(larder) == i, 5.0)
            poll(lambda: conn("GET", "probe") == b"new %d" % i)
            in_force(larder, mode)
            sees_changes(conn, direct)
            asked = l2.calls(r"client\|trackinginfo")
            poll(lambda: l2.calls(r"client\|trackinginfo") > asked + 1, 5.0, why="larder asks")
        assert coherence(larder) == (mode, mode, 0, 0), "no step"
        assert larder.log().count("does not track changes any more") == 3


def test_an_upstream_that_only_says_so(relayed):
    """TRACKINGINFO says off, however often it is switched on."""
    l2, relay, start = relayed

    def say_off(data):
        relay.inject = say_off
        return data.replace(b"$2\r\non\r\n", b"$3\r\noff\r\n")

    relay.inject = say_off
    larder = start()
    poll(lambda: coherence(larder)[1:3] == ("ttl", 1), 5.0)
    assert losses(larder) >= 1
    assert "said to be on, and is not" in larder.log()
    relay.inject = None
    in_force(larder, "tracking")
    with larder.conn() as conn, l2.conn() as direct:
        sees_changes(conn, direct)
        asked = l2.calls(r"client\|trackinginfo")
        poll(lambda: l2.calls(r"client\|trackinginfo") > asked + 1, 5.0, why="larder asks")
    in_force(larder, "tracking")


def test_an_upstream_that_knows_no_broadcast(relayed):
    """As a fork of Redis may: tracking is what is left."""
    l2, relay, start = relayed
    relay.rewrite = lambda data: data.replace(b"BCAST", b"BXXXX")
    larder = start("--coherence", "broadcast")
    assert coherence(larder) == ("broadcast", "tracking", 1, 0)
    assert "coherence steps down from broadcast to tracking (CLIENT TRACKING: ERR" in larder.log()
    with larder.conn() as conn, l2.conn() as direct:
        before = tier(conn, "L1")["flushes_mode"]
        sees_changes(conn, direct)
        poll(lambda: tier(conn, "L1")["flushes_mode"] > before, 5.0, why="it is tried again")
        in_force(larder, "tracking")
        assert coherence(larder) == ("broadcast", "tracking", 1, 0)
        relay.rewrite = None
        in_force(larder, "broadcast")
        assert coherence(larder) == ("broadcast", "broadcast", 1, 1)
        sees_changes(conn, direct)


# At run time


def test_switching_at_run_time(new_redis, new_larder):
    l2 = new_redis()
    larder = new_larder(l2, "--l1-ttl", "3600")
    with larder.conn() as conn, l2.conn() as direct:
        assert coherence(larder) == ("tracking", "tracking", 0, 0)
        for i, mode in enumerate(("broadcast", "ttl", "broadcast", "tracking", "ttl", "tracking")):
            key = f"k{i}"
            fill(conn, direct, key, "before")
            assert conn("CONFIG", "SET", "coherence", mode) == OK
            assert conn("CONFIG", "GET", "coherence") == [b"coherence", mode.encode()]
            in_force(larder, mode)
            direct("SET", key, "behind")
            poll(lambda: conn("GET", key) == b"behind", why="nothing of the old mode is left")
            assert is_tracked(conn, key) == (mode != "ttl")
            if mode == "ttl":
                sees_nothing(conn, direct)
            else:
                sees_changes(conn, direct)
        assert coherence(larder)[2:] == (0, 0), "what the operator does is no step"
        assert conn("CONFIG", "SET", "coherence", "broadcast", "broadcast-prefix", "a: b:") == OK
        in_force(larder, "broadcast")
        sees_changes(conn, direct, "a:1")
        sees_nothing(conn, direct, "c:1")
        assert conn("CONFIG", "SET", "broadcast-prefix", "c: b:") == OK
        in_force(larder, "broadcast")
        sees_changes(conn, direct, "c:1")
        sees_nothing(conn, direct, "a:1")
        assert isinstance(conn("CONFIG", "SET", "broadcast-prefix", "c: b: c:1"), Error)
        sees_changes(conn, direct, "c:1")
        assert conn("CONFIG", "SET", "broadcast-prefix", "") == OK
        in_force(larder, "broadcast")
        sees_changes(conn, direct, "a:1")
        conn("CONFIG", "SET", "l1-enabled", "no")
        in_force(larder, "ttl")
        conn("CONFIG", "SET", "l1-enabled", "yes")
        in_force(larder, "broadcast")
        sees_changes(conn, direct, "c:1")


# The promises, with the history checker


class BroadcastLarder(Larder):
    """larder whose L2 broadcasts."""

    def argv(self):
        return [*super().argv(), "--coherence", "broadcast"]


@pytest.mark.parametrize("faults", (False, True), ids=("without faults", "with faults"))
def test_promises_of_broadcast(faults, redis, servers):
    options = history.set_up(servers, redis, 2, faults, BroadcastLarder)
    limits = history.FAULTY if faults else history.PLAIN
    n, text = history.check([*options, *limits], history.seconds_of(history.PLAIN_SECONDS))
    assert n == 0, text
    assert history.hits(text) > 100, "L1 has answered nothing to speak of"
