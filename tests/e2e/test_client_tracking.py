"""CLIENT TRACKING: what clients that cache on their side are told, beside what redis-server tells.

Each script runs against redis-server and through larder; after each step, the reply and what was
pushed to each connection is compared. `a`, `b` speak RESP3, `r`, `s` RESP2; `L2` writes to
redis-server directly; "$r" is the id of r.
"""

import time

import pytest

from support.resp import Closed, Deadline, Error, Push, encode, poll

MOMENT = 0.06

SCRIPTS = {
    "default": [
        "a CLIENT TRACKING ON", "a SET k 1", "a GET k", "b SET k 2", "b SET k 3", "a GET k",
        "a GET k", "L2 SET k 4", "a GET k", "a DEL k", "a GET k", "b SET k 5", "a CLIENT TRACKING OFF",
        "a GET k", "b SET k 6"],
    "several keys": [
        "a CLIENT TRACKING ON", "b MSET x 1 y 2 z 3", "a MGET x y z", "b MSET x 1 y 2", "b SET z 3",
        "a EXISTS x y", "b DEL x", "a STRLEN y", "a TTL z", "b DEL y z"],
    "two clients": [
        "a CLIENT TRACKING ON", "b CLIENT TRACKING ON", "a SET k 1", "a GET k", "b GET k", "L2 SET k 2",
        "L2 SET k 3", "b GET k", "a SET k 1"],
    "other types": [
        "a CLIENT TRACKING ON", "b HSET h f v", "a HGET h f", "b HSET h f w", "a HGETALL h",
        "b HDEL h f", "b RPUSH l 1 2", "a LRANGE l 0 -1", "L2 RPUSH l 3", "a TYPE l", "b DEL l",
        "a GET none", "b SET none 1", "b SADD t 1", "a SMEMBERS t", "b DEL t"],
    "flush": ["a CLIENT TRACKING ON", "b SET k 1", "a GET k", "L2 FLUSHALL", "a GET k", "L2 FLUSHDB"],
    "expiry": ["a CLIENT TRACKING ON", "b SET k 1 PX 30", "a GET k", "sleep", "L2 GET k", "a GET k"],
    "databases": ["a CLIENT TRACKING ON", "b SELECT 1", "a GET k", "b SET k 1", "b SET k 2"],
    "optin": [
        "a CLIENT TRACKING ON OPTIN", "b MSET k 1 l 1", "a GET k", "b SET k 2", "a CLIENT CACHING YES",
        "a CLIENT TRACKINGINFO", "a GET k", "a GET l", "b SET k 3", "b SET l 3",
        "a CLIENT CACHING YES", "a MULTI", "a GET k", "a GET l", "a EXEC", "b MSET k 1 l 1",
        "a CLIENT CACHING NO", "a CLIENT TRACKING ON OPTOUT"],
    "optout": [
        "a CLIENT TRACKING ON OPTOUT", "a GET k", "b SET k 2", "a CLIENT CACHING NO",
        "a CLIENT TRACKINGINFO", "a GET k", "b SET k 3", "a GET k", "b SET k 4", "a CLIENT CACHING YES"],
    "noloop": [
        "a CLIENT TRACKING ON NOLOOP", "a GET k", "a SET k 1", "b SET k 2", "a GET k", "b SET k 3",
        "a GET k", "a SET k 4 NX", "b SET k 5", "a GET k", "a DEL nothing", "L2 SET k 6"],
    "redirect": [
        "r SUBSCRIBE __redis__:invalidate", "a CLIENT TRACKING ON REDIRECT $r", "a CLIENT GETREDIR",
        "a CLIENT TRACKINGINFO", "a GET k", "b SET k 1", "a GET k", "L2 FLUSHALL"],
    "redirect of RESP2": [
        "r SUBSCRIBE __redis__:invalidate", "s CLIENT TRACKING ON REDIRECT $r", "s CLIENT GETREDIR",
        "s CLIENT TRACKINGINFO", "s GET k", "b SET k 1", "s GET k", "s SET k 2"],
    "redirect to RESP3": ["s CLIENT TRACKING ON REDIRECT $b", "s GET k", "a SET k 1"],
    "redirect to who listens not": ["s CLIENT TRACKING ON REDIRECT $r", "s GET k", "a SET k 1"],
    "broken redirect": [
        "a CLIENT TRACKING ON REDIRECT $r", "a GET k", "r close", "b SET k 1", "a CLIENT TRACKINGINFO",
        "a CLIENT TRACKING ON", "a GET k", "b SET k 2", "a CLIENT TRACKINGINFO"],
    "transaction": [
        "a CLIENT TRACKING ON", "b MSET k 1 l 1", "a MULTI", "a GET k", "a INCR l", "a GET l", "a EXEC",
        "b SET k 2", "b SET l 2"],
    "script": ["a CLIENT TRACKING ON", "b SET k 1", "a EVAL return(redis.call('get',KEYS[1])) 1 k",
               "b SET k 2"],
    "reset": ["a CLIENT TRACKING ON", "a GET k", "a RESET", "a HELLO 3", "b SET k 2",
              "a CLIENT TRACKINGINFO", "a CLIENT GETREDIR"],
    "broadcast": [
        "a CLIENT TRACKING ON BCAST", "a CLIENT TRACKINGINFO", "b SET k 1", "L2 SET l 1", "a SET k 1",
        "b MSET k 2 l 2 m 2", "L2 FLUSHALL", "a CLIENT TRACKING OFF", "b SET k 2"],
    "prefixes": [
        "a CLIENT TRACKING ON BCAST PREFIX b PREFIX a", "b MSET b:2 1 a:2 1 c:1 1 b:1 1 a:1 1",
        "b DEL b:2 a:2"],
    "prefixes and more of them": [
        "a CLIENT TRACKING ON BCAST PREFIX user: PREFIX item:", "a CLIENT TRACKINGINFO", "b SET k 1",
        "b SET user:1 x", "L2 SET item:2 x", "a CLIENT TRACKING ON BCAST PREFIX more:",
        "a CLIENT TRACKINGINFO", "b SET more:1 x", "a CLIENT TRACKING ON BCAST PREFIX user:1"],
    "broadcast to two": [
        "a CLIENT TRACKING ON BCAST PREFIX x", "r SUBSCRIBE __redis__:invalidate",
        "s CLIENT TRACKING ON BCAST PREFIX y REDIRECT $r", "b SET x1 1", "b SET y1 1", "b SET z1 1"],
    "errors": [
        "a CLIENT TRACKING", "a CLIENT TRACKING MAYBE", "a CLIENT TRACKING ON NONSENSE",
        "a CLIENT TRACKING ON REDIRECT", "a CLIENT TRACKING ON REDIRECT x",
        "a CLIENT TRACKING ON REDIRECT 99999999", "a CLIENT TRACKING ON REDIRECT $r REDIRECT $r",
        "a CLIENT TRACKING ON REDIRECT -1", "a CLIENT TRACKING ON REDIRECT 0",
        "a CLIENT TRACKING OFF", "a CLIENT TRACKING ON PREFIX x", "a CLIENT TRACKING ON BCAST OPTIN",
        "a CLIENT TRACKING ON BCAST OPTOUT", "a CLIENT TRACKING ON OPTIN OPTOUT",
        "a CLIENT TRACKING ON BCAST PREFIX a PREFIX ab", "a CLIENT TRACKINGINFO",
        "a CLIENT TRACKING ON OPTIN", "a CLIENT TRACKING ON OPTOUT", "a CLIENT TRACKING ON BCAST",
        "a CLIENT TRACKING OFF BCAST", "a CLIENT CACHING YES", "a CLIENT CACHING", "a CLIENT GETREDIR",
        "a CLIENT TRACKING ON", "a CLIENT CACHING YES", "a CLIENT CACHING NO", "a CLIENT CACHING MAYBE",
        "a CLIENT GETREDIR", "a CLIENT GETREDIR x", "a CLIENT TRACKINGINFO", "a CLIENT TRACKINGINFO x"],
}


class Stage:
    """The connections of one script."""

    def __init__(self, server, l2):
        self.server = server
        self.conns = {"L2": l2.conn()}
        self.ids = {}
        for name, proto in (("a", 3), ("b", 3), ("r", 2), ("s", 2)):
            self.conns[name] = server.conn(proto)
            self.ids[name] = self.conns[name]("CLIENT", "ID")

    def named(self, value):
        """A reply with ids replaced by names."""
        for name, number in self.ids.items():
            if value == number and number > 2:
                return "$" + name
        if isinstance(value, tuple):
            return tuple(self.named(v) for v in value)
        if isinstance(value, list):
            return type(value)(self.named(v) for v in value)
        return value

    def pushed(self):
        """What came unasked, to each connection."""
        got = {}
        for name, conn in self.conns.items():
            if conn is None or name == "L2":
                continue
            values = conn.pushes
            conn.pushes = []
            try:
                while True:
                    values.append(conn.take(MOMENT if name == "a" else 0.01).value)
            except (Deadline, Closed):
                pass
            if values:
                got[name] = [self.named(v) for v in values]
        return got

    def step(self, text):
        words = text.split()
        if words[0] == "sleep":
            time.sleep(0.05)
            return None, {}
        if words[1] == "close":
            self.conns[words[0]].close()
            self.conns[words[0]] = None
            time.sleep(0.05)
            return None, {}
        argv = [str(self.ids[w[1:]]) if w[0] == "$" else w for w in words[1:]]
        conn = self.conns[words[0]]
        reply = conn(*argv)
        return self.named(reply), self.pushed()

    def close(self):
        for conn in self.conns.values():
            if conn is not None:
                conn.close()


def run(server, l2, script):
    stage = Stage(server, l2)
    try:
        return [(text, *stage.step(text)) for text in script]
    finally:
        stage.close()


@pytest.mark.parametrize("name", SCRIPTS)
def test_as_redis(name, pair, redis):
    wanted = run(redis, redis, SCRIPTS[name])
    got = run(pair.larder, pair.l2, SCRIPTS[name])
    for one, other in zip(got, wanted):
        assert one == other


def figures(server):
    text = server.once("INFO").decode()
    pairs = dict(line.split(":", 1) for line in text.split("\r\n") if ":" in line)
    return {k: int(v) for k, v in pairs.items() if k.startswith("tracking_")}


def test_figures_and_list(pair):
    with pair.larder.conn(3) as a, pair.larder.conn(3) as b:
        a("CLIENT", "TRACKING", "ON")
        b("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "p")
        a("MGET", "k", "l")
        got = figures(pair.larder)
        assert got == {"tracking_clients": 2, "tracking_total_keys": 2, "tracking_total_items": 2,
                       "tracking_total_prefixes": 1}
        assert b" flags=t " in a("CLIENT", "INFO") and b" redir=0 " in a("CLIENT", "INFO")
        assert b" flags=tB " in b("CLIENT", "INFO")
    poll(lambda: figures(pair.larder)["tracking_clients"] == 0)
    assert figures(pair.larder)["tracking_total_prefixes"] == 0
    pair.l2.once("MSET", "k", 1, "l", 1)
    poll(lambda: figures(pair.larder)["tracking_total_keys"] == 0)


def test_a_lost_link_drops_all(pair):
    with pair.larder.conn(3) as a, pair.larder.conn(3) as b:
        a("CLIENT", "TRACKING", "ON")
        b("CLIENT", "TRACKING", "ON", "BCAST")
        a("GET", "k")
        pair.l2.once("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        assert a.take().value == Push([b"invalidate", None])
        assert b.take().value == Push([b"invalidate", None])
        assert b.take().value == Push([b"invalidate", None])  # again when it is back
        poll(lambda: a("GET", "k") is not None and not isinstance(a("GET", "k"), Error))
        pair.l2.once("SET", "k", 1)
        assert poll(lambda: b.pushes or b("PING") and b.pushes)[0] == Push([b"invalidate", [b"k"]])
        assert poll(lambda: a.pushes or a("PING") and a.pushes)[-1] == Push([b"invalidate", [b"k"]])


def test_link_of_broadcasts_goes(pair):
    def links():
        return pair.l2.once("CLIENT", "LIST").count(b" flags=tB ")
    with pair.larder.conn(3) as a:
        assert links() == 0
        a("CLIENT", "TRACKING", "ON", "BCAST")
        assert links() == 1
    poll(lambda: links() == 0)


def test_limit_of_keys(pair):
    with pair.larder.conn(3) as a:
        a("CONFIG", "SET", "tracking-table-max-keys", 10)
        try:
            a("CLIENT", "TRACKING", "ON")
            for i in range(50):
                a("GET", f"key{i}")
            a("PING")
            assert figures(pair.larder)["tracking_total_keys"] == 10
            told = {p[1][0] for p in a.pushes}
            assert len(told) >= 40
        finally:
            a("CONFIG", "SET", "tracking-table-max-keys", 1000000)


def test_lowered_limit_of_keys(pair):
    with pair.larder.conn(3) as a:
        a("CLIENT", "TRACKING", "ON")
        for i in range(1000):
            a("GET", f"key{i}")
        a("CONFIG", "SET", "tracking-table-max-keys", 10)
        try:
            poll(lambda: figures(pair.larder)["tracking_total_keys"] == 10)
            a("PING")
            assert len({p[1][0] for p in a.pushes}) == 990
        finally:
            a("CONFIG", "SET", "tracking-table-max-keys", 1000000)


def test_reads_where_upstream_does_not_track(pair):
    """A transaction that watches runs on a link of its own: what it reads is not to be kept."""
    with pair.larder.conn(3) as a:
        a("CLIENT", "TRACKING", "ON")
        a("WATCH", "k")
        a.pipeline([("MULTI",), ("GET", "k"), ("EXEC",)])
        assert poll(lambda: a.pushes or a("PING") and a.pushes) == [Push([b"invalidate", [b"k"]])]


def test_without_l1(pair):
    """L1 switched off: L2 does not track for larder, so nothing may be kept by clients."""
    with pair.larder.conn(3) as a:
        a("SET", "k", 1)
        a("CONFIG", "SET", "l1-enabled", "no")
        try:
            a("CLIENT", "TRACKING", "ON")
            a("GET", "k")
            assert poll(lambda: a.pushes or a("PING") and a.pushes) == [Push([b"invalidate", [b"k"]])]
        finally:
            a("CONFIG", "SET", "l1-enabled", "yes")


def test_no_old_value_behind_its_invalidation(pair):
    """Whatever a client caches and is not told to drop is L2's value in the end."""
    n_keys = 20
    with pair.larder.conn(3) as a, pair.larder.conn(3) as c, pair.l2.conn() as w:
        a("CLIENT", "TRACKING", "ON")
        c("CLIENT", "TRACKING", "ON", "BCAST")
        caches = {a: {}, c: {}}

        def take(conn, asked):
            value = conn.take().value
            while isinstance(value, Push):
                if value[1] is None or not isinstance(value[1], list):
                    caches[conn].clear()
                else:
                    for key in value[1]:
                        caches[conn].pop(key, None)
                value = conn.take().value
            if asked is not None:
                caches[conn][asked] = value

        for round_ in range(120):
            from support.resp import encode
            keys = [b"n%d" % ((round_ * 7 + i) % n_keys) for i in range(8)]
            for conn in caches:
                conn.send(b"".join(encode("GET", key) for key in keys))
            w.send(b"".join(encode("SET", key, b"%d.%d" % (round_, i)) for i, key in enumerate(keys)))
            for conn in caches:
                for key in keys:
                    take(conn, key)
            for _ in keys:
                w.take()
        time.sleep(0.2)
        for conn in caches:
            conn.send(encode("PING"))
            take(conn, None)
        truth = {b"n%d" % i: w("GET", b"n%d" % i) for i in range(n_keys)}
        for cache in caches.values():
            assert all(truth[key] == value for key, value in cache.items())


def test_alone_refuses(alone):
    with alone.larder.conn(3) as a:
        assert isinstance(a("CLIENT", "TRACKING", "ON"), Error)
        assert a("CLIENT", "TRACKING", "OFF") == b"OK"
