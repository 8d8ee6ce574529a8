"""Python's redis as applications use it: locks, pipelines, WATCH under contention, iterators.

Each test runs against redis-server as well, which shows that it asks for what Redis does.
"""

import threading

import pytest
import redis as redis_py
from redis.exceptions import LockError, LockNotOwnedError

from support.resp import poll

WAIT = 30       # seconds until a test gives up


@pytest.fixture
def connect(either):
    """Makes clients, each with connections of its own."""
    made = []

    def make(**options):
        made.append(redis_py.Redis(port=either.port, socket_timeout=WAIT, **options))
        return made[-1]
    yield make
    for client in made:
        client.connection_pool.disconnect()


@pytest.fixture
def client(connect):
    return connect()


def at_once(n_threads, work):
    """Runs work(number) in threads that start together; their results."""
    gate = threading.Barrier(n_threads)
    results = [None] * n_threads

    def run(number):
        gate.wait(WAIT)
        results[number] = work(number)

    threads = [threading.Thread(target=run, args=(n,), daemon=True) for n in range(n_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    assert not any(thread.is_alive() for thread in threads)
    return results


class TestLocks:
    def test_one_holder_at_a_time(self, connect):
        """What is read under the lock is what its last holder wrote, from L1 or not."""
        def work(_):
            client = connect()
            for _ in range(50):
                with client.lock("lock", timeout=WAIT, sleep=0.001, blocking_timeout=WAIT):
                    client.set("counter", int(client.get("counter") or 0) + 1)
            return True

        assert at_once(4, work) == [True] * 4
        assert connect().get("counter") == b"200"

    def test_held_by_another(self, connect):
        holder, other = connect().lock("lock", timeout=WAIT), connect().lock("lock", timeout=WAIT)
        assert holder.acquire() and holder.owned()
        assert other.locked() and not other.owned()
        assert other.acquire(blocking=False) is False
        assert other.acquire(blocking_timeout=0.02, sleep=0.01) is False
        with pytest.raises(LockError):
            with connect().lock("lock", blocking_timeout=0.02, sleep=0.01):
                raise AssertionError("two holders")
        with pytest.raises(LockError):
            other.release()
        assert holder.owned()
        holder.release()
        assert not other.locked() and other.acquire(blocking=False) is True
        assert other.owned() and not holder.owned()

    def test_a_blocked_one_is_next(self, connect):
        holder = connect().lock("lock")
        assert holder.acquire()
        events = []

        def wait():
            assert connect().lock("lock", sleep=0.001).acquire(blocking_timeout=WAIT)
            events.append("acquired")

        before = connect().info("commandstats")["cmdstat_set"]["calls"]
        thread = threading.Thread(target=wait, daemon=True)
        thread.start()
        poll(lambda: connect().info("commandstats")["cmdstat_set"]["calls"] > before + 1)
        events.append("released")
        holder.release()
        thread.join(WAIT)
        assert events == ["released", "acquired"]

    def test_its_time(self, client):
        lock = client.lock("lock", timeout=100)
        assert lock.acquire() and 97_000 < client.pttl("lock") <= 100_000
        assert lock.extend(50) is True and 147_000 < client.pttl("lock") <= 150_000
        assert lock.extend(20, replace_ttl=True) is True
        assert 17_000 < client.pttl("lock") <= 20_000
        assert lock.reacquire() is True and 97_000 < client.pttl("lock") <= 100_000
        lock.release()
        assert client.pttl("lock") == -2
        with pytest.raises(LockError):
            lock.extend(1)
        forever = client.lock("lock")
        assert forever.acquire() and client.pttl("lock") == -1
        with pytest.raises(LockError):
            forever.extend(1)

    def test_its_time_is_over(self, connect):
        late, next_one = connect().lock("lock", timeout=0.03), connect().lock("lock", timeout=WAIT)
        assert late.acquire()
        assert next_one.acquire(blocking_timeout=WAIT, sleep=0.005)
        assert not late.owned() and next_one.owned()
        for action in (lambda: late.extend(1), late.reacquire, late.release):
            with pytest.raises(LockNotOwnedError):
                action()
        assert next_one.owned()

    def test_lost(self, connect):
        lock, client = connect().lock("lock", timeout=WAIT), connect()
        assert lock.acquire() and lock.owned()
        assert client.delete("lock") == 1
        assert not lock.owned() and not lock.locked()
        with pytest.raises(LockNotOwnedError):
            lock.release()
        with pytest.raises(LockNotOwnedError):
            with lock:
                client.set("lock", "somebody else")
        assert client.get("lock") == b"somebody else"

    def test_the_scripts_come_back(self, client):
        """EVALSHA, NOSCRIPT, SCRIPT LOAD, EVALSHA."""
        lock = client.lock("lock", timeout=100)
        assert lock.acquire()
        client.script_flush()
        assert lock.extend(100)
        client.script_flush()
        lock.release()
        assert client.exists("lock") == 0

    def test_through_larder_and_past_it(self, pair):
        """A lock at L2 orders its holders, wherever they connect: what the last one wrote reaches
        larder before the lock does."""
        def work(number):
            server = pair.larder if number % 2 else pair.l2
            with redis_py.Redis(port=server.port, socket_timeout=WAIT) as client:
                for _ in range(40):
                    with client.lock("lock", timeout=WAIT, sleep=0.001, blocking_timeout=WAIT):
                        client.set("counter", int(client.get("counter") or 0) + 1)
            return True

        assert at_once(4, work) == [True] * 4
        assert pair.larder.once("GET", "counter") == b"160"


class TestPipelines:
    @pytest.mark.parametrize("transaction", (False, True))
    def test_replies_of_every_kind(self, transaction, client):
        with client.pipeline(transaction=transaction) as pipe:
            pipe.set("k", 1).incrby("k", 4).get("k").get("missing").mget("k", "missing")
            pipe.hset("h", mapping={"f": "v"}).hgetall("h").rpush("l", "a", "b").lrange("l", 0, -1)
            pipe.zadd("z", {"m": 1.5}).zrange("z", 0, -1, withscores=True)
            pipe.sadd("s", "x").smembers("s").expire("k", 100).ttl("k").delete("k").get("k")
            pipe.eval("return {1, KEYS[1], {ARGV[1]}}", 1, "k", "a").echo("bye")
            assert len(pipe) == 19
            got = pipe.execute()
        assert 97 <= got.pop(14) <= 100
        assert got == [True, 5, b"5", None, [b"5", None], 1, {b"f": b"v"}, 2, [b"a", b"b"], 1,
                       [(b"m", 1.5)], 1, {b"x"}, True, 1, None, [1, b"k", [b"a"]], b"bye"]
        assert pipe.execute() == []

    @pytest.mark.parametrize("transaction", (False, True))
    def test_an_error_among_them(self, transaction, client):
        pipe = client.pipeline(transaction=transaction)
        pipe.set("k", "word").hget("k", "f").lpush("k", "x").set("after", 1)
        with pytest.raises(redis_py.ResponseError, match=r"Command # 2 \(HGET k f\) of pipeline"):
            pipe.execute()
        assert client.get("after") == b"1"
        pipe.get("k").incr("k").get("after")
        got = pipe.execute(raise_on_error=False)
        assert got[0] == b"word" and isinstance(got[1], redis_py.ResponseError) and got[2] == b"1"

    def test_one_that_cannot_be_queued(self, client):
        """EXECABORT: nothing of it is done."""
        pipe = client.pipeline(transaction=True)
        pipe.set("k", 1).execute_command("NOSUCH", "x").set("k", 2)
        with pytest.raises(redis_py.ResponseError, match="unknown command"):
            pipe.execute()
        assert client.get("k") is None
        assert pipe.set("k", 3).execute() == [True]

    @pytest.mark.parametrize("transaction", (False, True))
    def test_a_long_one(self, transaction, client):
        with client.pipeline(transaction=transaction) as pipe:
            for i in range(3000):
                pipe.incr("counter").get("counter")
            got = pipe.execute()
        assert got == [v for i in range(1, 3001) for v in (i, b"%d" % i)]

    def test_nobody_comes_between(self, connect):
        """What a transaction reads of its own writes no other client has touched."""
        def work(number):
            client, wrong = connect(), 0
            for i in range(30):
                mine = b"%d %d" % (number, i)
                with client.pipeline() as pipe:
                    got = pipe.set("k", mine).get("k").incr("n").incr("n").execute()
                wrong += got[1] != mine or got[3] != got[2] + 1
            return wrong

        assert at_once(4, work) == [0] * 4
        assert connect().get("n") == b"240"


class TestWatch:
    def test_the_helper_under_contention(self, connect):
        """Every transaction() is done exactly once, however often it has to begin anew."""
        attempts = []

        def work(_):
            client, values = connect(), []

            def add(pipe):
                attempts.append(1)
                before = int(pipe.get("counter") or 0)
                pipe.multi()
                pipe.set("counter", before + 1)
                pipe.rpush("log", before + 1)
                return before + 1

            for _ in range(50):
                values.append(client.transaction(add, "counter", value_from_callable=True))
            return values

        values = sorted(sum(at_once(4, work), []))
        assert values == list(range(1, 201)) and len(attempts) >= 200
        client = connect()
        assert client.get("counter") == b"200"
        assert client.lrange("log", 0, -1) == [b"%d" % i for i in range(1, 201)]

    def test_a_change_by_each_kind_of_command(self, client):
        changes = [("hset", "h", "f", "2"), ("delete", "h"), ("rpush", "h", "x"),
                   ("expire", "h", 9), ("rename", "h", "i"), ("set", "h", "v"), ("flushdb",)]
        for name, *arguments in changes:
            with client.pipeline() as pipe:
                pipe.watch("h", "other")
                getattr(client, name)(*arguments)
                pipe.multi()
                pipe.set("done", name)
                with pytest.raises(redis_py.WatchError):
                    pipe.execute()
        assert client.get("done") is None

    def test_no_change(self, client):
        client.mset({"a": 1, "b": 2})
        with client.pipeline() as pipe:
            pipe.watch("a", "b")
            client.set("c", 3)
            assert client.get("a") == b"1"
            total = int(pipe.get("a")) + int(pipe.get("b"))
            pipe.multi()
            assert pipe.set("total", total).get("total").execute() == [True, b"3"]

    def test_given_up(self, client):
        pipe = client.pipeline()
        pipe.watch("k")
        client.set("k", 1)
        assert pipe.unwatch() is True
        pipe.multi()
        assert pipe.incr("k").execute() == [2]
        pipe.watch("k")
        client.set("k", 10)
        pipe.reset()
        assert pipe.incr("k").execute() == [11]


class TestPubsub:
    def test_a_thread_with_handlers(self, connect):
        client, heard, done = connect(), [], threading.Event()

        def on(kind):
            def handler(message):
                heard.append((kind, message["channel"], message["data"]))
                if message["data"] == b"last":
                    done.set()
            return handler

        pubsub = connect().pubsub(ignore_subscribe_messages=True)
        pubsub.subscribe(news=on("channel"))
        pubsub.psubscribe(**{"user.*": on("pattern")})
        thread = pubsub.run_in_thread(sleep_time=0.05, daemon=True)
        poll(lambda: client.pubsub_numsub("news") == [(b"news", 1)] and client.pubsub_numpat())
        assert client.pubsub_channels() == [b"news"]
        with client.pipeline() as pipe:
            pipe.publish("news", "one").set("user", 1).publish("user.7", "two")
            pipe.publish("nobody", "x").publish("news", "last")
            assert pipe.execute() == [1, True, 1, 0, 1]
        assert done.wait(WAIT)
        thread.stop()
        thread.join(WAIT)
        assert heard == [("channel", b"news", b"one"), ("pattern", b"user.7", b"two"),
                         ("channel", b"news", b"last")]
        poll(lambda: client.pubsub_numsub("news") == [(b"news", 0)] and not client.pubsub_numpat())

    def test_listen(self, client):
        with client.pubsub() as pubsub:
            pubsub.subscribe("a", "b")
            pubsub.psubscribe("a*")
            messages = ((m["type"], m["channel"], m["data"]) for m in pubsub.listen())
            assert [next(messages) for _ in range(3)] == [
                ("subscribe", b"a", 1), ("subscribe", b"b", 2), ("psubscribe", b"a*", 3)]
            assert client.publish("a", "x") == 2
            assert [next(messages) for _ in range(2)] == [
                ("message", b"a", b"x"), ("pmessage", b"a", b"x")]


class TestIterators:
    N = 700

    def test_keys(self, client):
        client.mset({f"s{i}": i for i in range(self.N)})
        for i in range(20):
            client.rpush(f"l{i}", i)
        got = list(client.scan_iter(count=50))
        assert len(got) == len(set(got)) == self.N + 20
        assert len(set(client.scan_iter("s1*"))) == 111
        assert set(client.scan_iter(_type="list")) == {b"l%d" % i for i in range(20)}

    def test_fields_and_members(self, client):
        names = [b"m%d" % i for i in range(self.N)]
        client.hset("h", mapping={n: n for n in names})
        client.sadd("s", *names)
        client.zadd("z", {n: i for i, n in enumerate(names)})
        assert dict(client.hscan_iter("h", count=50)) == {n: n for n in names}
        assert set(client.sscan_iter("s", count=50)) == set(names)
        assert dict(client.zscan_iter("z", count=50)) == {n: i for i, n in enumerate(names)}
        assert {k for k, _ in client.hscan_iter("h", match="m69*")} == {
            n for n in names if n.startswith(b"m69")}

    def test_while_keys_come_and_go(self, connect):
        """What was there all the time is told of, whatever happens to others."""
        client, other = connect(), connect()
        client.mset({f"stays{i}": i for i in range(self.N)})
        client.mset({f"goes{i}": i for i in range(self.N)})
        seen = set()
        for at, key in enumerate(client.scan_iter(count=20)):
            seen.add(key)
            if at % 10 == 0:
                other.delete(f"goes{at // 2}")
                other.set(f"comes{at}", at)
        assert seen >= {b"stays%d" % i for i in range(self.N)}
