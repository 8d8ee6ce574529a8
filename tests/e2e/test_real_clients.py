"""redis-cli, redis-benchmark and Python's redis: programs that people use, through larder."""

import re
import subprocess
import threading

import pytest
import redis as redis_py

from support.resp import poll


def cli(server, *argv, stdin=None):
    """What redis-cli prints."""
    done = subprocess.run(["redis-cli", "-p", str(server.port), *map(str, argv)], input=stdin,
                          capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


class TestRedisCli:
    @pytest.mark.parametrize("argv,out", [
        (("PING",), "PONG"), (("SET", "k", "v"), "OK"), (("GET", "nothing"), ""),
        (("INCR", "n"), "1"), (("-3", "HGETALL", "nothing"), ""), (("DBSIZE",), "0"),
        (("EVAL", "return {1, {2, 'x'}}", "0"), "1\n2\nx"), (("-n", "5", "SET", "k", "v"), "OK"),
        (("LPUSH", "l", "a", "b"), "2"), (("--no-raw", "GET", "nothing"), "(nil)")])
    def test_one_command(self, argv, out, larder):
        assert cli(larder, *argv) == out

    def test_a_session(self, larder):
        out = cli(larder, stdin="SET k v\nGET k\nGET k\nSELECT 2\nGET k\nHELLO 3\nHSET h f 1\n"
                                "HGETALL h\nNOSUCH a\nINCR h\n")
        assert out.startswith("OK\nv\nv\nOK\n")
        assert "f 1" in out or "f\n1" in out
        assert "ERR unknown command 'NOSUCH'" in out and "WRONGTYPE" in out

    def test_the_hints(self, larder):
        """Interactively redis-cli asks COMMAND DOCS first; it must like the answer."""
        out = cli(larder, "--no-raw", "COMMAND", "DOCS", "get", "set")
        assert "summary" in out and "Get the value of a key" in out
        out = cli(larder, "-3", "--no-raw", "COMMAND", "DOCS")
        assert len(out) > 10000

    def test_pipe_mode(self, larder, l2):
        data = "".join(f"SET k{i} {i}\r\n" for i in range(10000))
        out = cli(larder, "--pipe", stdin=data)
        assert "errors: 0, replies: 10000" in out
        assert l2.once("DBSIZE") == 10000

    def test_scan_and_big_keys(self, larder):
        cli(larder, "--pipe", stdin="".join(f"SET k{i} {i}\r\n" for i in range(500)))
        assert len(cli(larder, "--scan", "--pattern", "k*").splitlines()) == 500
        assert "500 strings" in cli(larder, "--bigkeys")

    def test_latency(self, larder):
        assert re.match(r"\d+ \d+ [\d.]+ \d+", cli(larder, "--raw", "--latency", "-i", "0.3"))


class TestRedisBenchmark:
    def test_the_issues_line(self, larder):
        done = subprocess.run(
            ["redis-benchmark", "-p", str(larder.port), "-t", "set,get,mset,incr,lpush,hset", "-P",
             "16", "-q", "-n", "2000"], capture_output=True, text=True, timeout=120)
        text = done.stdout + done.stderr
        assert done.returncode == 0, text
        assert not re.search(r"error|warning|could not", text, re.I), text
        names = re.findall(r"(\w+)(?: \(\d+ keys\))?: [\d.]+ requests per second", text)
        assert names == ["SET", "GET", "INCR", "LPUSH", "HSET", "MSET"], text

    @pytest.mark.parametrize("more", (["-P", "1"], ["-P", "100", "-r", "1000"], ["-3"],
                                      ["-P", "16", "-d", "10000"], ["--threads", "2"]),
                             ids=" ".join)
    def test_other_ways(self, more, larder):
        done = subprocess.run(
            ["redis-benchmark", "-p", str(larder.port), "-t", "set,get", "-q", "-n", "2000", *more],
            capture_output=True, text=True, timeout=120)
        text = done.stdout + done.stderr
        assert done.returncode == 0, text
        assert not re.search(r"error|warning|could not", text, re.I), text
        assert text.count("requests per second") == 2


class TestPython:
    @pytest.fixture
    def client(self, larder):
        with redis_py.Redis(port=larder.port, socket_timeout=10) as client:
            yield client

    def test_strings(self, client):
        assert client.set("k", "v") is True
        assert client.get("k") == b"v" == client.get("k")
        assert client.set("k", "w", nx=True) is None
        assert client.set("k", "w", get=True) == b"v"
        assert client.setex("t", 100, "v") and 98 <= client.ttl("t") <= 100
        assert client.getex("t", persist=True) == b"v" and client.ttl("t") == -1
        assert client.append("k", "x") == 2 and client.strlen("k") == 2
        assert client.incr("n") == 1 and client.incrbyfloat("n", 0.5) == 1.5
        assert client.mset({"a": 1, "b": 2}) and client.mget("a", "x", "b") == [b"1", None, b"2"]
        assert client.delete("a", "b", "x") == 2 and client.exists("a", "k") == 1
        assert client.type("k") == b"string" and client.getrange("k", 0, 0) == b"w"

    def test_collections(self, client):
        assert client.hset("h", mapping={"f": "1", "g": "2"}) == 2
        assert client.hgetall("h") == {b"f": b"1", b"g": b"2"}
        assert client.rpush("l", "a", "b") == 2 and client.lrange("l", 0, -1) == [b"a", b"b"]
        assert client.sadd("s", "x") == 1 and client.smembers("s") == {b"x"}
        assert client.zadd("z", {"m": 1.5}) == 1
        assert client.zrange("z", 0, -1, withscores=True) == [(b"m", 1.5)]
        assert client.xadd("x", {"f": "v"}, id="1-1") == b"1-1"
        assert client.xrange("x") == [(b"1-1", {b"f": b"v"})]

    def test_errors(self, client):
        client.lpush("l", "a")
        with pytest.raises(redis_py.ResponseError, match="WRONGTYPE"):
            client.incr("l")
        with pytest.raises(redis_py.ResponseError, match="unknown command"):
            client.execute_command("NOSUCH")

    def test_a_pipeline(self, client):
        with client.pipeline(transaction=False) as pipe:
            for i in range(500):
                pipe.set(f"k{i}", i)
                pipe.get(f"k{i}")
            assert pipe.execute() == [v for i in range(500) for v in (True, b"%d" % i)]

    def test_a_transaction(self, client):
        with client.pipeline(transaction=True) as pipe:
            pipe.set("k", 1)
            pipe.incr("k")
            pipe.lpush("k", "no list")
            pipe.get("k")
            got = pipe.execute(raise_on_error=False)
        assert got[:2] == [True, 2] and isinstance(got[2], redis_py.ResponseError) and got[3] == b"2"

    def test_optimistic_locking(self, client):
        def add(pipe):
            before = int(pipe.get("counter") or 0)
            pipe.multi()
            pipe.set("counter", before + 1)

        for _ in range(20):
            client.transaction(add, "counter")
        assert client.get("counter") == b"20"
        with client.pipeline() as pipe:
            pipe.watch("counter")
            client.set("counter", 100)
            pipe.multi()
            pipe.set("counter", 1)
            with pytest.raises(redis_py.WatchError):
                pipe.execute()
        assert client.get("counter") == b"100"

    def test_blocking_and_locks(self, client):
        assert client.blpop("queue", timeout=1) is None
        client.rpush("queue", "a")
        assert client.blpop("queue", timeout=1) == (b"queue", b"a")
        with client.lock("lock", timeout=5):
            assert not client.lock("lock", timeout=5).acquire(blocking=False)

    def test_scan_info_and_scripts(self, client):
        client.mset({f"k{i}": i for i in range(300)})
        assert len(list(client.scan_iter("k*", count=50))) == 300
        assert client.info()["redis_version"].startswith("7.")
        assert client.info("memory")["used_memory"] > 0
        assert client.dbsize() == 300
        double = client.register_script("return tonumber(ARGV[1]) * 2")
        assert double(args=[21]) == 42
        assert client.config_get("maxclients")["maxclients"] == "10000"
        assert client.client_list()[0]["db"] == "0"
        assert client.client_setname("py") and client.client_getname() == "py"
        assert client.command_count() > 200
        assert "get" in client.command()

    def test_a_pool_of_threads(self, larder):
        pool = redis_py.ConnectionPool(port=larder.port, max_connections=20)
        faults = []

        def work(number):
            client = redis_py.Redis(connection_pool=pool)
            for i in range(100):
                client.set(f"t{number}", i)
                if client.get(f"t{number}") != b"%d" % i:
                    faults.append((number, i))

        threads = [threading.Thread(target=work, args=(n,)) for n in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        pool.disconnect()
        assert not faults, faults[:5]

    def test_it_reconnects(self, new_redis, new_larder):
        l2 = new_redis()
        larder = new_larder(l2)
        with redis_py.Redis(port=larder.port, socket_timeout=10) as client:
            client.set("k", "v")
            l2.kill()

            def refused():
                try:
                    return not client.set("k", "w")
                except redis_py.ResponseError as error:
                    return "UPSTREAM" in str(error)
            poll(refused, 5.0)
            l2.start()

            def back():
                try:
                    return client.set("k", "again")
                except redis_py.ResponseError:
                    return False
            poll(back, 5.0)
            assert client.get("k") == b"again"
