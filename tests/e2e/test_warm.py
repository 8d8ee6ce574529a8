"""CACHE WARM: jobs in the background that fetch what L1 lacks, and count what they did."""

import pytest

from support.resp import OK, Error, flat_map, poll
from support.stats import number, tier
from support.watch import data_calls

COUNTS = ("asked", "warmed", "skipped", "missing", "failed")


def status(conn, job):
    return {k: number(v) for k, v in flat_map(conn("CACHE", "WARM", "STATUS", job)).items()}


def ended(conn, job):
    got = status(conn, job)
    return got if got["state"] in (b"done", b"cancelled", b"failed") else None


def warm(conn, *argv):
    """Starts a job and waits for its end; its final status."""
    job = conn("CACHE", "WARM", *argv)
    assert not isinstance(job, Error), job
    job = flat_map(job)["id"] if isinstance(job, list) else job
    return poll(lambda: ended(conn, job), 20.0)


@pytest.fixture
def filled(pair):
    """A thousand keys in L2, none in L1."""
    with pair.l2.conn() as direct:
        direct.pipeline(("SET", f"k{i}", f"value {i}") for i in range(1000))
    return pair


@pytest.mark.parametrize("proto", (2, 3))
def test_keys(proto, filled):
    with filled.larder.conn(proto) as conn:
        conn("GET", "k0")
        got = warm(conn, "KEYS", *[f"k{i}" for i in range(100)], "nothing1", "nothing2")
        assert got["state"] == b"done"
        assert [got[c] for c in COUNTS] == [102, 99, 1, 2, 0]
        calls = data_calls(filled.l2)
        assert conn("MGET", *[f"k{i}" for i in range(100)]) == [b"value %d" % i
                                                                for i in range(100)]
        assert data_calls(filled.l2) == calls, "all from L1"


def test_match(filled):
    with filled.larder.conn() as conn:
        got = warm(conn, "MATCH", "k*")
        assert got["state"] == b"done" and got["warmed"] == 1000 and got["failed"] == 0
        calls = data_calls(filled.l2)
        for i in range(0, 1000, 50):
            assert conn("GET", f"k{i}") == b"value %d" % i
        assert data_calls(filled.l2) == calls
        again = warm(conn, "MATCH", "k*")
        assert again["warmed"] == 0 and again["skipped"] == 1000


def test_match_some(filled):
    with filled.larder.conn() as conn:
        assert warm(conn, "MATCH", "k99?")["warmed"] == 10
        assert warm(conn, "MATCH", "nothing*")["warmed"] == 0
        assert warm(conn, "MATCH", "k*", "LIMIT", 50)["asked"] == 50


def test_keys_of_other_types_do_not_hurt(filled):
    with filled.larder.conn() as conn:
        filled.l2.once("LPUSH", "list", "a")
        filled.l2.once("HSET", "hash", "f", "v")
        got = warm(conn, "KEYS", "k1", "list", "hash")
        assert got["asked"] == 3 and got["warmed"] == 1
        assert conn("LRANGE", "list", 0, -1) == [b"a"]
        assert conn("GET", "hash").startswith(b"WRONGTYPE")


@pytest.mark.parametrize("concurrency", (1, 10, 100))
def test_concurrency(concurrency, filled):
    with filled.larder.conn() as conn:
        names = [f"k{i}" for i in range(300)]
        got = warm(conn, "KEYS", *names, "CONCURRENCY", concurrency)
        assert got["warmed"] == 300


def test_a_ttl_of_its_own(filled):
    """TTL caps the life in L1; what clients see is the key's own TTL."""
    with filled.larder.conn() as conn:
        warm(conn, "KEYS", "k1", "TTL", 1)
        calls = filled.l2.calls("get")
        assert conn("GET", "k1") == b"value 1"
        assert filled.l2.calls("get") == calls
        assert conn("TTL", "k1") == -1
        poll(lambda: conn("GET", "k1") == b"value 1" and filled.l2.calls("get") > calls, 5.0,
             every=0.05)


def test_file(new_redis, new_larder, tmp_path):
    l2 = new_redis()
    l2.once("MSET", "a", 1, "b", 2, "c c", 3)
    (tmp_path / "keys").write_text("a\nb\nc c\n\nmissing\n")
    outside = tmp_path.parent / "outside-of-the-folder"
    outside.write_text("a\n")
    (tmp_path / "link").symlink_to(outside)
    larder = new_larder(l2, "--warm-dir", tmp_path)
    with larder.conn() as conn:
        got = warm(conn, "FILE", "keys")
        assert got["warmed"] == 3 and got["missing"] == 1
        calls = data_calls(l2)
        assert conn("MGET", "a", "b", "c c") == [b"1", b"2", b"3"]
        assert data_calls(l2) == calls
        for path in ("nosuch", "../outside-of-the-folder", "/etc/passwd", str(outside), "link"):
            assert isinstance(conn("CACHE", "WARM", "FILE", path), Error), path
    outside.unlink()


def test_file_is_off_without_a_folder(pair):
    with pair.larder.conn() as conn:
        assert isinstance(conn("CACHE", "WARM", "FILE", "/etc/passwd"), Error)


def test_list_status_and_cancel(new_redis, new_larder):
    """A job over many keys is cancelled on its way; clients are served meanwhile."""
    l2 = new_redis()
    larder = new_larder(l2)
    with l2.conn() as direct, larder.conn() as conn:
        for start in range(0, 50000, 5000):
            direct("MSET", *[w for i in range(start, start + 5000) for w in (f"k{i}", "v")])
        job = conn("CACHE", "WARM", "MATCH", "*", "CONCURRENCY", 1)
        job = flat_map(job)["id"] if isinstance(job, list) else job
        assert conn("GET", "k1") == b"v"
        running = status(conn, job)
        assert set(COUNTS) <= set(running)
        listed = conn("CACHE", "WARM", "LIST")
        assert isinstance(listed, list) and len(listed) == 1
        assert not isinstance(conn("CACHE", "WARM", "CANCEL", job), Error)
        end = poll(lambda: ended(conn, job), 10.0)
        assert end["state"] in (b"cancelled", b"done")
        assert end["warmed"] < 50000
        assert conn("CACHE", "WARM", "CANCEL", 999999).startswith(b"NOJOB")
        assert conn("CACHE", "WARM", "STATUS", 999999).startswith(b"NOJOB")


def test_all_statuses_at_once(filled):
    with filled.larder.conn() as conn:
        warm(conn, "KEYS", "k1")
        got = conn("CACHE", "WARM", "STATUS")
        assert isinstance(got, list) and got


def test_l2_goes_away(new_redis, new_larder):
    """A job waits for L2, says so, can be cancelled meanwhile, and goes on when L2 is back."""
    l2 = new_redis()
    larder = new_larder(l2, "--upstream-timeout", "300")
    with larder.conn() as conn:
        l2.kill()
        poll(lambda: isinstance(conn("SET", "x", 1), Error))
        job = conn("CACHE", "WARM", "KEYS", "a", "b")
        given_up = conn("CACHE", "WARM", "MATCH", "*")
        for number_of in (job, given_up):
            waiting = poll(lambda n=number_of: status(conn, n) if
                           status(conn, n)["state"] == b"paused" else None)
            assert waiting["reason"] == b"waiting for L2" and waiting["last_error"] != b""
            assert waiting["asked"] == waiting["warmed"] + waiting["in_flight"] == 0
        assert conn("CACHE", "WARM", "CANCEL", given_up) == OK
        poll(lambda: ended(conn, given_up))
        l2.start()
        got = poll(lambda: ended(conn, job), 20.0)
        assert got["state"] == b"done" and got["reason"] == b""
        assert [got[c] for c in COUNTS] == [2, 0, 0, 2, 0], "this L2 began empty"


def test_a_link_lost_on_the_way_costs_no_key(new_redis, new_larder):
    l2 = new_redis()
    larder = new_larder(l2)
    with larder.conn() as conn, l2.conn() as direct:
        direct("MSET", *[w for i in range(2000) for w in (f"k{i}", "v")])
        job = conn("CACHE", "WARM", "MATCH", "k*", "RATE", 4000)
        poll(lambda: status(conn, job)["warmed"] > 100)
        direct("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        got = poll(lambda: ended(conn, job), 20.0)
        assert got["state"] == b"done" and got["failed"] == 0
        assert got["asked"] >= 2000
        assert tier(conn, "L1")["size"] < 2000, "what was warmed before has no tracker any more"


def test_alone_there_is_nothing_to_warm(alone):
    with alone.larder.conn() as conn:
        assert isinstance(conn("CACHE", "WARM", "KEYS", "a"), Error)


def test_warmed_keys_are_coherent(filled):
    with filled.larder.conn() as conn:
        warm(conn, "MATCH", "k1*")
        filled.l2.once("SET", "k1", "changed")
        poll(lambda: conn("GET", "k1") == b"changed")
        assert conn("SET", "k10", "ours") == OK
        assert conn("GET", "k10") == b"ours"
        assert tier(conn, "L1")["size"] > 100
