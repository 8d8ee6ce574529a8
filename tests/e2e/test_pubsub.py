"""Pub/sub: the same bytes as redis-server, one subscription at L2 for all clients of larder, and
what becomes of it when clients or links go."""

import os
import signal
import socket
import threading
import time

import pytest
import redis as redis_py

from support.resp import Closed, Error, Push, encode, poll
from test_node_clients import node, run  # noqa: F401  (a fixture)

CROWD = 1000


def links(l2, *kind):
    """The connections of larder that L2 has."""
    listed = l2.once("CLIENT", "LIST", *kind).decode().splitlines()
    return [dict(f.split("=", 1) for f in l.split()) for l in listed if " name=larder " in l]


def channels_gone(l2):
    poll(lambda: l2.once("PUBSUB", "CHANNELS") == [] and l2.once("PUBSUB", "NUMPAT") == 0
         and l2.once("PUBSUB", "SHARDCHANNELS") == [], why="L2 has no subscription left")


class Other:
    """A step that somebody else does: how many replies the first one gets from it."""

    def __init__(self, *argv, replies=0):
        self.argv = argv
        self.replies = replies

    def __str__(self):
        return "other:" + " ".join(self.argv)


def other(text, replies=0):
    return Other(*text.split(), replies=replies)


# Commands of one client with the number of their replies; between them, what another client does.
SCRIPTS = [
    [("SUBSCRIBE a a b", 3), other("PUBLISH a hi", 1), other("PUBLISH c hi"), ("PING", 1),
     ("PING x", 1), ("GET k", 1), ("ping a b", 1), ("NOSUCH", 1), ("GET", 1),
     ("UNSUBSCRIBE a c a", 3), other("PUBLISH a hi"), ("UNSUBSCRIBE", 1), ("UNSUBSCRIBE", 1),
     ("PUNSUBSCRIBE", 1), ("SUNSUBSCRIBE", 1), ("GET k", 1)],
    [("PSUBSCRIBE a* b* [x]y ?", 4), ("SUBSCRIBE a ab", 2), ("SSUBSCRIBE s s", 2),
     other("PUBLISH a hi", 3), other("PUBLISH ab hi", 2), other("PUBLISH xy hi", 1),
     other("SPUBLISH s hi", 1), other("PUBLISH s hi", 1), other("SPUBLISH a hi"),
     other("PUBSUB NUMSUB a b ab"), other("PUBSUB NUMPAT"), other("PUBSUB SHARDNUMSUB s a"),
     other("PUBSUB SHARDCHANNELS"), other("PUBSUB CHANNELS a"), other("PUBSUB CHANNELS ?"),
     ("PUNSUBSCRIBE a* nothing", 2), other("PUBLISH a hi", 2), ("SUNSUBSCRIBE", 1),
     other("SPUBLISH s hi"), ("RESET", 1), other("PUBSUB NUMPAT"), ("PING", 1), ("GET k", 1)],
    [("SUBSCRIBE a", 1), ("HELLO 3 AUTH", 1), ("RESET", 1), ("SUBSCRIBE", 1), ("UNSUBSCRIBE", 1),
     ("PUBLISH a", 1), ("SPUBLISH", 1), ("QUIT", 1)],
    [("CLIENT REPLY OFF", 0), ("SUBSCRIBE a", 1), other("PUBLISH a hi", 1), ("UNSUBSCRIBE", 1)],
    [("CLIENT REPLY SKIP", 0), ("SUBSCRIBE a", 1), other("PUBLISH a hi", 1)],
    [("HELLO 3", 1), ("SUBSCRIBE a", 1), other("PUBLISH a x", 1), ("HELLO 2", 1), ("GET k", 1),
     other("PUBLISH a x", 1), ("UNSUBSCRIBE a", 1), ("GET k", 1)],
    [("PUBSUB", 1), ("PUBSUB NUMSUB", 1), ("PUBSUB NUMSUB a b", 1), ("PUBSUB CHANNELS a b", 1),
     ("PUBSUB FOO a", 1), ("PUBSUB CHANNELS", 1), ("PUBSUB SHARDCHANNELS", 1),
     ("PUBSUB SHARDNUMSUB a", 1), ("PUBSUB NUMPAT a", 1), ("PUBSUB NUMPAT", 1)],
]


def play(server, proto, script):
    """Everything that is said, as [(step, raw bytes)]; ids of connections left out."""
    out = []
    with server.conn(proto) as conn, server.conn() as second:
        for step in script:
            if isinstance(step, Other):
                out.append((str(step), second.ask(*step.argv).raw))
                n = step.replies
            else:
                conn.send(encode(*step[0].split()))
                n = step[1]
            got = [(str(step), conn.take().raw) for _ in range(n)]
            # Patterns are in the order of a random hash in Redis.
            out += sorted(got) if isinstance(step, Other) else got
        data, _ = conn.quiet(0.05)
        assert not data, f"more than there should be: {data!r}"
    return [(s, raw.split(b"id\r\n:")[0]) for s, raw in out]


@pytest.mark.parametrize("proto", (2, 3))
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda s: " ".join(map(str, s))[:50])
def test_as_redis(script, proto, redis, pair):
    assert play(pair.larder, proto, script) == play(redis, proto, script)
    channels_gone(pair.l2)


@pytest.mark.parametrize("proto", (2, 3))
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda s: " ".join(map(str, s))[:50])
def test_alone_as_redis(script, proto, redis, alone):
    assert play(alone.larder, proto, script) == play(redis, proto, script)


def test_a_crowd_is_one_subscription(pair):
    crowd = [pair.larder.conn(2 + i % 2) for i in range(CROWD)]
    try:
        for conn in crowd:
            conn.send(encode("SUBSCRIBE", "news"))
        for conn in crowd:
            assert list(conn.take().value) == [b"subscribe", b"news", 1]
        assert pair.l2.once("PUBSUB", "NUMSUB", "news") == [b"news", 1]
        assert pair.l2.once("PUBSUB", "CHANNELS") == [b"news"]
        assert pair.larder.once("PUBSUB", "NUMSUB", "news", "x") == [b"news", CROWD, b"x", 0]
        assert pair.larder.once("PUBLISH", "news", "hi") == CROWD
        assert pair.l2.once("PUBLISH", "news", "ho") == 1
        for conn in crowd:
            assert [conn.take().value[2] for _ in range(2)] == [b"hi", b"ho"]
        assert len(links(pair.l2, "TYPE", "pubsub")) == 1
        assert len(pair.larder.once("CLIENT", "LIST", "TYPE", "pubsub").splitlines()) == CROWD
    finally:
        for conn in crowd:
            conn.close()
    channels_gone(pair.l2)
    assert pair.larder.once("PUBLISH", "news", "hi") == 0


def test_counts_of_larders_and_others(pair):
    larder, l2 = pair.larder, pair.l2
    mine = [larder.conn(3) for _ in range(3)]
    foreign = l2.conn(3)
    for conn in mine:
        conn.send(encode("SUBSCRIBE", "c"))
        conn.take()
    for conn in mine[:2]:
        conn.send(encode("PSUBSCRIBE", "?"))
        conn.take()
    foreign.send(encode("SUBSCRIBE", "c"))
    foreign.take()
    assert larder.once("PUBLISH", "c", "x") == 6
    assert larder.once("PUBLISH", "d", "x") == 2
    assert larder.once("PUBSUB", "NUMSUB", "c") == [b"c", 4]
    for conn in mine:
        conn.close()
    poll(lambda: larder.once("PUBLISH", "c", "x") == 1, why="only the foreign one is left")
    foreign.close()


@pytest.mark.parametrize("others", (0, 2))
def test_a_pipeline_is_in_order(others, pair):
    """RESP3: what it published before it subscribed is not heard; what it published between that
    and unsubscribing is, and comes between the confirmations; whoever else listens."""
    for i in range(50):
        channel = b"c%d" % i
        crowd = [pair.larder.conn() for _ in range(others)]
        for conn in crowd:
            conn("SUBSCRIBE", channel)
        with pair.larder.conn(3) as conn:
            conn.send(b"".join(encode(*w) for w in (
                ("GET", f"miss{i}"), ("PUBLISH", channel, "early"), ("SUBSCRIBE", channel),
                ("PUBLISH", channel, "late"), ("UNSUBSCRIBE", channel),
                ("PUBLISH", channel, "later"), ("ECHO", "end"))))
            seen = []
            while not seen or seen[-1] != b"end":
                seen.append(conn.take().value)
            said = [list(v) for v in seen if isinstance(v, Push)]
            replies = [v for v in seen if not isinstance(v, Push)]
            assert replies == [None, others, others + 1, others, b"end"], seen
            assert said == [[b"subscribe", channel, 1], [b"message", channel, b"late"],
                            [b"unsubscribe", channel, 0]]
        for conn in crowd:
            assert [conn.take().value[2] for _ in range(3)] == [b"early", b"late", b"later"]
            conn.close()


def test_many_changes_at_once(pair):
    """Coming and going on the same channels, pipelined: every confirmation in order."""
    with pair.larder.conn(3) as conn:
        for round_ in range(3):
            words = [(("SUBSCRIBE", "UNSUBSCRIBE")[i % 2], f"c{i // 4}") for i in range(400)]
            conn.send(b"".join(encode(*w) for w in words))
            for name, channel in words:
                want = [name.lower().encode(), channel.encode(), int(name == "SUBSCRIBE")]
                assert list(conn.take().value) == want
    channels_gone(pair.l2)


def test_restored_after_the_link_was_lost(pair):
    larder, l2 = pair.larder, pair.l2
    with larder.conn() as two, larder.conn(3) as three:
        for conn in (two, three):
            conn.send(encode("SUBSCRIBE", "a", "b") + encode("PSUBSCRIBE", "p*")
                      + encode("SSUBSCRIBE", "s"))
            for _ in range(4):
                conn.take()
        for _ in range(3):
            link, = links(l2, "TYPE", "pubsub")
            assert l2.once("CLIENT", "KILL", "ID", link["id"]) == 1
            poll(lambda: l2.once("PUBSUB", "NUMSUB", "a", "b") == [b"a", 1, b"b", 1]
                 and l2.once("PUBSUB", "NUMPAT") == 1
                 and l2.once("PUBSUB", "SHARDNUMSUB", "s") == [b"s", 1], why="all is back")
            poll(lambda: larder.once("PUBLISH", "a", "x") >= 2, why="and larder knows")
            assert l2.once("PUBLISH", "p1", "y") == 1 and l2.once("SPUBLISH", "s", "z") == 1
            for conn in (two, three):
                seen = []
                while not seen or seen[-1][0] != b"smessage":
                    seen.append(list(conn.take().value))
                assert {v[0] for v in seen} == {b"message", b"pmessage", b"smessage"}
    channels_gone(l2)


def test_subscribing_while_l2_is_down(new_redis, new_larder):
    l2 = new_redis()
    larder = new_larder(l2, "--upstream-timeout", 1000, "--upstream-backoff-max", 100)
    with larder.conn(3) as old:
        old.send(encode("SUBSCRIBE", "old"))
        assert old.take().value[0] == b"subscribe"
        l2.kill()
        with larder.conn(3) as conn:
            begin = time.monotonic()
            conn.send(encode("SUBSCRIBE", "c", "old") + encode("PING"))
            got = conn.take(20.0).value
            assert isinstance(got, Error) and got.startswith(b"UPSTREAM "), got
            assert time.monotonic() - begin > 0.9, "upstream-timeout is a second"
            assert conn.take().value == b"PONG"
            conn.send(encode("UNSUBSCRIBE"))
            assert list(conn.take().value) == [b"unsubscribe", None, 0]     # nothing is left of it
            conn.send(encode("SUBSCRIBE", "c"))
            l2.start()
            assert list(conn.take().value) == [b"subscribe", b"c", 1]       # it waited
            poll(lambda: l2.once("PUBLISH", "old", "x") == 1)
            assert list(old.take().value) == [b"message", b"old", b"x"]


def test_nothing_is_left_of_many_clients(new_redis, new_larder):
    """Hundreds at a time that come, subscribe in every way, and go in every way. (AddressSanitizer,
    where it was built in, must not hold on to freed memory.)"""
    l2 = new_redis()
    larder = new_larder(l2, env={"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "")
                                 + ":quarantine_size_mb=1"})
    memory = []
    for round_ in range(6):
        crowd = [larder.conn(2 + i % 2) for i in range(500)]
        for i, conn in enumerate(crowd):
            conn.send(encode("SUBSCRIBE", f"c{i}", f"r{round_}", "all") + encode("PSUBSCRIBE", "a*")
                      + encode("SSUBSCRIBE", f"s{i % 7}"))
        for conn in crowd:
            for _ in range(5):
                conn.take()
        assert larder.once("PUBLISH", "all", "x") == 2 * len(crowd)
        for i, conn in enumerate(crowd):
            if i % 3:
                conn.send(encode("UNSUBSCRIBE") if i % 3 == 1 else encode("RESET"))
            conn.close()
        channels_gone(l2)
        poll(lambda: larder.once("CLIENT", "LIST").count(b"\n") == 1)
        memory.append(larder.memory())
    assert memory[-1] < memory[1] + (8 << 20), memory


def test_leaving_while_it_waits(new_redis, new_larder):
    """Clients go, and larder too, while a subscription is not confirmed."""
    l2 = new_redis()
    larder = new_larder(l2)
    l2.signal(signal.SIGSTOP)           # connected, and mute
    for _ in range(20):
        with larder.conn(3) as conn:
            conn.send(encode("SUBSCRIBE", "c", "d") + encode("GET", "k"))
    conn = larder.conn(3)
    conn.send(encode("SUBSCRIBE", "c"))
    poll(lambda: b"psub" in larder.once("CLIENT", "LIST"))
    l2.signal(signal.SIGCONT)
    assert list(conn.take().value) == [b"subscribe", b"c", 1]
    assert larder.once("PUBLISH", "c", "x") == 1
    assert conn.take().value[2] == b"x"
    conn.close()
    channels_gone(l2)


def test_the_link_goes_when_nobody_listens(new_redis, new_larder):
    l2 = new_redis()
    larder = new_larder(l2)
    before = len(links(l2))
    for _ in range(2):
        with larder.conn() as conn:
            conn("SUBSCRIBE", "c")
            assert len(links(l2)) == before + 1
        poll(lambda: len(links(l2)) == before, 10, why="larder's link for subscriptions is closed")


def test_a_slow_subscriber_is_closed(new_redis, new_larder):
    l2 = new_redis()
    larder = new_larder(l2, "--client-output-buffer-limit", "pubsub 2mb 0 0")
    sock = socket.create_connection(larder.address, 5)
    sock.sendall(encode("SUBSCRIBE", "c"))
    with larder.conn(3) as reader:
        reader.send(encode("SUBSCRIBE", "c"))
        reader.take()
        poll(lambda: l2.once("PUBSUB", "NUMSUB", "c")[1] == 1)
        payload = b"x" * 100000
        counts = []
        for _ in range(200):
            counts.append(larder.once("PUBLISH", "c", payload))
            assert reader.take().value[2] == payload
        assert counts[0] == 2 and counts[-1] == 1
        assert len(larder.once("CLIENT", "LIST", "TYPE", "pubsub").splitlines()) == 1
    sock.close()
    assert b"clients_closed_output:1\r" in larder.once("INFO", "everything")


def test_inside_multi(larder):
    with larder.conn(3) as listener, larder.conn(3) as conn:
        listener.send(encode("SUBSCRIBE", "c"))
        listener.take()
        got = conn.pipeline([("MULTI",), ("SET", "k", 1), ("PUBLISH", "c", "x"), ("EXEC",)])
        assert got[:3] == [b"OK", b"QUEUED", b"QUEUED"] and got[3] == [b"OK", 1]
        assert list(listener.take().value) == [b"message", b"c", b"x"]
        got = conn.pipeline([("MULTI",), ("SUBSCRIBE", "c"), ("EXEC",)])
        assert isinstance(got[1], Error) and got[2].startswith(b"EXECABORT")


def test_a_blocked_client_hears_messages(larder):
    with larder.conn(3) as conn:
        conn.send(encode("SUBSCRIBE", "c"))
        conn.take()
        conn.send(encode("BLPOP", "queue", 10))
        poll(lambda: larder.once("PUBLISH", "c", "x") == 1)
        assert list(conn.take().value) == [b"message", b"c", b"x"]
        larder.once("RPUSH", "queue", "v")
        assert conn.take().value == [b"queue", b"v"]


def test_client_commands(larder):
    with larder.conn(3) as conn, larder.conn() as second:
        for words in (("SUBSCRIBE", "a", "b"), ("PSUBSCRIBE", "p"), ("SSUBSCRIBE", "s")):
            conn.send(encode(*words))
        for _ in range(4):
            conn.take()
        line, = second("CLIENT", "LIST", "TYPE", "pubsub").splitlines()
        assert b" flags=P " in line and b" sub=2 psub=1 ssub=1 " in line
        assert b" sub=2 " not in second("CLIENT", "LIST", "TYPE", "normal")
        assert second("CLIENT", "KILL", "TYPE", "pubsub") == 1
        with pytest.raises(Closed):
            conn.take()
        assert second("PING") == b"PONG"


def test_info(larder):
    with larder.conn(3) as conn:
        for words in (("SUBSCRIBE", "a", "b"), ("PSUBSCRIBE", "p"), ("SSUBSCRIBE", "s")):
            conn.send(encode(*words))
        for _ in range(4):
            conn.take()
        text = larder.once("INFO", "stats")
        for line in (b"pubsub_channels:2", b"pubsub_patterns:1", b"pubsubshard_channels:1"):
            assert line + b"\r" in text


def test_a_channel_that_l2_denies(new_redis, new_larder):
    """An error, not a wait for ever; who listens to other channels goes on."""
    l2 = new_redis()
    l2.once("ACL", "SETUSER", "u", "on", ">p", "~*", "+@all", "resetchannels", "&fine")
    larder = new_larder(f"redis://u:p@127.0.0.1:{l2.port}", "--upstream-timeout", 1000)
    with larder.conn(3) as one, larder.conn(3) as two:
        one.send(encode("SUBSCRIBE", "fine"))
        one.take()
        two.send(encode("SUBSCRIBE", "fine", "denied") + encode("PING"))
        got = two.take().value
        assert isinstance(got, Error) and got.startswith(b"NOPERM "), got
        assert two.take().value == b"PONG"
        poll(lambda: l2.once("PUBLISH", "fine", "x") == 1)
        assert list(one.take().value) == [b"message", b"fine", b"x"]
        assert larder.once("PUBSUB", "NUMSUB", "fine") == [b"fine", 1]


def test_keyspace_notifications(pair):
    pair.l2.once("CONFIG", "SET", "notify-keyspace-events", "KEA")
    try:
        with pair.larder.conn() as conn:
            conn("PSUBSCRIBE", "__keyspace@0__:*")
            pair.larder.once("SET", "k", "v")
            assert conn.take().value == [b"pmessage", b"__keyspace@0__:*", b"__keyspace@0__:k",
                                         b"set"]
    finally:
        pair.l2.once("CONFIG", "SET", "notify-keyspace-events", "")


def test_binary_and_big(larder):
    channel, payload = b"\r\n\x00*\xff", bytes(range(256)) * 4096
    with larder.conn(3) as three, larder.conn(2) as two:
        for conn in (three, two):
            conn.send(encode("SUBSCRIBE", channel, ""))
            conn.take(), conn.take()
        assert larder.once("PUBLISH", channel, payload) == 2
        assert larder.once("PUBLISH", "", "") == 2
        for conn in (three, two):
            assert list(conn.take().value) == [b"message", channel, payload]
            assert list(conn.take().value) == [b"message", b"", b""]


class TestPython:
    @pytest.fixture
    def client(self, larder):
        client = redis_py.Redis("127.0.0.1", larder.port)
        yield client
        client.close()

    def test_messages(self, client):
        with client.pubsub() as pubsub:
            pubsub.subscribe("a", "b")
            pubsub.psubscribe("p.*")
            for name in (b"a", b"b", b"p.*"):
                got = pubsub.get_message(timeout=5)
                assert got["type"] in ("subscribe", "psubscribe") and got["channel"] == name
            assert client.publish("a", "one") == 1 and client.publish("p.x", "two") == 1
            assert pubsub.get_message(timeout=5)["data"] == b"one"
            got = pubsub.get_message(timeout=5)
            assert (got["pattern"], got["channel"], got["data"]) == (b"p.*", b"p.x", b"two")
            pubsub.ping()
            assert pubsub.get_message(timeout=5)["type"] == "pong"
            pubsub.unsubscribe()
            pubsub.punsubscribe()
            assert [pubsub.get_message(timeout=5)["type"] for _ in range(3)] == [
                "unsubscribe", "unsubscribe", "punsubscribe"]

    def test_handlers_in_a_thread(self, client):
        heard, done = [], threading.Event()

        def on_message(message):
            heard.append(message["data"])
            if len(heard) == 500:
                done.set()
        pubsub = client.pubsub(ignore_subscribe_messages=True)
        pubsub.subscribe(c=on_message)
        thread = pubsub.run_in_thread(sleep_time=0.01)
        poll(lambda: client.pubsub_numsub("c") == [(b"c", 1)])
        for i in range(500):
            client.publish("c", i)
        assert done.wait(10)
        thread.stop()
        thread.join()
        assert heard == [b"%d" % i for i in range(500)]


NODE = {
    "subscribed": [1, 2], "received": [["a", "one"], ["b", "two"]], "publish": [1, 1, 0],
    "pattern": ["p.*", "p.x", "three"], "sharded": [1, 0, 1, ["shard", "four"], 0, 0],
    "numsub": True, "while subscribed": True,
    "unsubscribed": 0, "many": 200, "quit": "OK",
}


@pytest.mark.direct
@pytest.mark.parametrize("name", ("pubsub-ioredis", "pubsub-node-redis"))
def test_node_directly(name, node, redis):          # noqa: F811
    assert run(node, name, redis.port) == NODE


@pytest.mark.parametrize("name", ("pubsub-ioredis", "pubsub-node-redis"))
def test_node_through_larder(name, node, pair):     # noqa: F811
    assert run(node, name, pair.larder.port) == NODE
    channels_gone(pair.l2)
