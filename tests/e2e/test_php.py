"""phpredis: PHP's sessions in Redis, with and without locks, and what the extension does every day.

Each test runs against redis-server as well.
"""

import json
import select
import subprocess

import pytest

from support.resp import poll
from support.servers import ROOT

PHP = ROOT / "tests" / "e2e" / "php"
WAIT = 30       # seconds until a test gives up
LOCKING = {"redis.session.locking_enabled": 1, "redis.session.lock_wait_time": 2000,
           "redis.session.lock_retries": WAIT * 1000 // 2}
EXPIRING = {**LOCKING, "redis.session.lock_expire": 900}


class Request:
    """A PHP process that works with one session, verb by verb."""

    def __init__(self, server, name, address=None, query="database=1", **settings):
        address = address or f"tcp://127.0.0.1:{server.port}"
        settings = {"session.save_handler": "redis", "session.gc_maxlifetime": 1000,
                    "session.save_path": f'"{address}?{query}"',
                    "session.use_cookies": 0, "session.cache_limiter": "", **settings}
        options = [word for k, v in settings.items() for word in ("-d", f"{k}={v}")]
        self.process = subprocess.Popen(
            ["php", *options, PHP / "session.php", name], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def send(self, *words):
        self.process.stdin.write(" ".join(words) + "\n")
        self.process.stdin.flush()

    def answered(self, seconds):
        return bool(select.select([self.process.stdout], [], [], seconds)[0])

    def answer(self):
        assert self.answered(WAIT), "PHP does not answer"
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read()
        return json.loads(line)

    def __call__(self, *words):
        self.send(*words)
        return self.answer()

    def set(self, name, value):
        return self("set", name, json.dumps(value)) == value

    def end(self):
        """What PHP complained of."""
        return self.process.communicate(timeout=WAIT)[1]

    def kill(self):
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def request_of(either):
    """Starts requests: request_of(session's id, setting=value, …); none of them may complain."""
    made = []

    def make(name="visitor", **settings):
        made.append(Request(either, name, **settings))
        return made[-1]
    yield make
    complaints = []
    for one in made:
        try:
            complaints.append(one.end() if one.process.poll() is None else "")
        finally:
            one.kill()
    assert not any(complaints), complaints


def at(server, *words):
    """A command in the sessions' database."""
    with server.conn() as conn:
        conn("SELECT", 1)
        return conn(*words)


def key(name):
    return f"PHPREDIS_SESSION:{name}"


class TestSessions:
    def test_write_and_read(self, request_of):
        value = {"list": [1, 2.5, None, True, "x" * 20000], "text": "h\u00e9 \U0001f600",
                 "": {"a": 1}}
        one = request_of()
        assert one("start") is True and one("all") == []
        assert one.set("user", "ann") and one.set("cart", value) and one("close") is True
        other = request_of()
        assert other("start") and other("get", "user") == "ann" and other("get", "cart") == value
        assert other.set("user", "bob") and other("close")
        for _ in range(3):
            assert one("start") and one("get", "user") == "bob" and one("close")
        stranger = request_of("stranger")
        assert stranger("start") and stranger("all") == []

    def test_given_up(self, request_of):
        one = request_of()
        assert one("start") and one.set("n", 1) and one("close")
        assert one("start") and one.set("n", 2) and one("abort") is True
        assert one("start") and one("get", "n") == 1

    def test_time(self, request_of, either):
        """A session ends gc_maxlifetime after its last request, read or written."""
        one = request_of(**{"session.gc_maxlifetime": 500})
        assert one("start") and one.set("n", 1) and one("close")
        assert 497_000 < at(either, "PTTL", key("visitor")) <= 500_000
        longer = request_of()
        assert longer("start") and longer("get", "n") == 1 and longer("close")
        assert 997_000 < at(either, "PTTL", key("visitor")) <= 1000_000
        assert at(either, "PEXPIRE", key("visitor"), 20) == 1

        def over():
            assert one("start")
            left = one("all")
            return one("abort") and left == []
        poll(over, 5)

    def test_a_new_name(self, request_of, either):
        one = request_of()
        assert one("start") and one.set("user", "ann")
        name = one("regenerate-and-delete")
        assert name not in ("visitor", False) and one.set("role", "admin") and one("close")
        assert at(either, "EXISTS", key("visitor")) == 0
        other = request_of(name)
        assert other("start") and other("all") == {"user": "ann", "role": "admin"}
        kept = other("regenerate")
        assert kept not in (name, False) and other("close")
        assert at(either, "EXISTS", key(name), key(kept)) == 2

    def test_destroyed(self, request_of, either):
        one, other = request_of(), request_of()
        assert one("start") and one.set("n", 1) and one("close")
        assert other("start") and other("get", "n") == 1 and other("destroy") is True
        assert at(either, "EXISTS", key("visitor")) == 0
        assert one("start") and one("all") == []

    def test_many_sessions_of_a_process(self, request_of):
        one = request_of()
        for i in range(50):
            assert one("use", f"s{i}") and one("start") and one.set("n", i) and one("close")
        for i in range(50):
            assert one("use", f"s{i}") and one("start") and one("get", "n") == i and one("close")

    def test_prefix_and_persistent_connections(self, request_of, either):
        query = "database=1&persistent=1&prefix=app:&timeout=10&weight=1"
        one = request_of(query=query)
        assert one("start") and one.set("n", 1) and one("close")
        assert at(either, "KEYS", "*") == [b"app:visitor"]
        assert one("start") and one("get", "n") == 1

    def test_over_a_unix_socket(self, l2, new_larder, tmp_path):
        larder = new_larder(l2, "--unixsocket", tmp_path / "larder.sock")
        one = Request(larder, "visitor", address=f"unix://{tmp_path}/larder.sock", **LOCKING)
        try:
            assert one("count", "10") == 10
            assert at(l2, "EXISTS", key("visitor")) == 1
            assert one.end() == ""
        finally:
            one.kill()


class TestLocks:
    def test_no_request_is_lost(self, request_of, either):
        """Two processes at once, each request adds one to what the one before it left."""
        requests = [request_of(**LOCKING) for _ in range(2)]
        for one in requests:
            one.send("count", "100")
        assert max(one.answer() for one in requests) == 200
        last = request_of()
        assert last("start") and last("get", "n") == 200
        assert at(either, "EXISTS", key("visitor") + "_LOCK") == 0

    def test_the_next_one_waits(self, request_of, either):
        first, second = request_of(**LOCKING), request_of(**LOCKING)
        assert first("start") and first.set("n", 1)
        counted = (either if not hasattr(either, "upstream") else either.upstream).calls
        before = counted("set")
        second.send("start")
        poll(lambda: counted("set") >= before + 2, WAIT, why="the second one asks for the lock")
        assert not second.answered(0)
        assert first("close")
        assert second.answer() is True and second("get", "n") == 1

    def test_no_patience(self, request_of, either):
        """Who doesn't get the lock may read (phpredis 5) or not even that (6), but never write."""
        first = request_of(**EXPIRING)
        second = Request(either, "visitor", **{**EXPIRING, "redis.session.lock_retries": 2})
        try:
            assert first("start") and first.set("n", 1)
            if second("start"):
                assert second.set("n", 2) and second("close") is not None
            assert "session" in second.end()
        finally:
            second.kill()
        assert first("get", "n") == 1 and first("close")
        last = request_of(**EXPIRING)
        assert last("start") and last("get", "n") == 1

    def test_left_by_one_that_died(self, request_of, either):
        first = request_of(**EXPIRING)
        assert first("start") and first.set("n", 1)
        lock = key("visitor") + "_LOCK"
        assert 897_000 < at(either, "PTTL", lock) <= 900_000
        first.kill()
        second = request_of(**LOCKING)
        second.send("start")
        assert at(either, "PEXPIRE", lock, 20) == 1
        assert second.answer() is True and second("all") == []

    def test_taken_by_another_meanwhile(self, request_of, either):
        """A request whose lock is lost doesn't write over what the next one wrote."""
        first, second = Request(either, "visitor", **EXPIRING), request_of(**EXPIRING)
        try:
            assert first("start") and first.set("n", "first")
            assert at(either, "DEL", key("visitor") + "_LOCK") == 1
            assert second("start") and second.set("n", "second") and second("close")
            first("close")
            assert "Failed to write session data" in first.end()
        finally:
            first.kill()
        assert second("start") and second("get", "n") == "second"

    def test_a_new_name(self, request_of, either):
        one = request_of(**LOCKING)
        assert one("start") and one.set("n", 1)
        name = one("regenerate-and-delete")
        assert name and at(either, "KEYS", "*_LOCK") == [f"{key(name)}_LOCK".encode()]
        assert one("close") and at(either, "KEYS", "*") == [key(name).encode()]
        assert one("start") and one("get", "n") == 1 and one("destroy")
        assert at(either, "DBSIZE") == 0


def test_everyday_things(either, tmp_path):
    port, heard = str(either.port), tmp_path / "heard"
    with open(heard, "wb") as out:
        listener = subprocess.Popen(["php", PHP / "subscribe.php", port, "news"], stdout=out)
    try:
        poll(lambda: either.once("PUBSUB", "NUMSUB", "news") == [b"news", 1], WAIT)
        done = subprocess.run(["php", PHP / "phpredis.php", port], text=True, capture_output=True,
                              timeout=WAIT)
        assert done.returncode == 0, done.stdout + done.stderr
        poll(lambda: heard.read_text() == "news hello\nnews one\nnews two\n", WAIT)
    finally:
        listener.kill()
        listener.wait()
