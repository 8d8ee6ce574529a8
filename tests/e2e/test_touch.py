"""TOUCH for L2 (`l2-touch-interval`): what L1 is hit for stays in an L2 that evicts by LRU or LFU.

A test waits for what L2 itself says of its keys (OBJECT IDLETIME and FREQ, which don't count as
accesses), and compares hot keys with cold ones: both were read by larder once, and only the hot
ones are hit in L1 since.
"""

import re

import pytest

from support.resp import Error, poll
from support.stats import info, tier

N = 40
WAIT = 60.0
VALUE = b"v" * 1000


def calls(redis, command):
    found = re.search(rb"cmdstat_%s:calls=(\d+)" % re.escape(command.encode()),
                      redis.once("INFO", "commandstats"))
    return int(found.group(1)) if found else 0


def touches(conn):
    return tier(conn, "L2")["touches"]


def load(direct, conn, prefix, db=0):
    """Strings and hashes, written at L2 and read through larder once; their keys."""
    direct("SELECT", db)
    conn("SELECT", db)
    keys = []
    for i in range(N):
        direct("SET", f"{prefix}:s:{i}", VALUE)
        direct("HSET", f"{prefix}:h:{i}", "f", VALUE)
        keys += [f"{prefix}:s:{i}", f"{prefix}:h:{i}"]
    hit(conn, keys, db)
    return keys


def hit(conn, keys, db=0):
    conn.pipeline([("SELECT", db)] + [("HGETALL", k) if ":h:" in k else ("GET", k) for k in keys])


def object_of(direct, what, keys, db=0):
    """OBJECT what of all keys that are there."""
    got = direct.pipeline([("SELECT", db)] + [("OBJECT", what, k) for k in keys])
    return [v for v in got[1:] if isinstance(v, int)]


def are_told(direct, conn, hot, cold, db=0):
    """Hits the hot keys; true when L2 knows that they are in use, and that the cold ones aren't."""
    hit(conn, hot, db)
    return (min(object_of(direct, "IDLETIME", cold, db)) >= 4 and
            max(object_of(direct, "IDLETIME", hot, db)) <= 2)


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-lru"])
def test_idle_time(policy, new_redis, new_larder):
    redis = new_redis("--maxmemory-policy", policy)
    larder = new_larder(redis, "--l2-touch-interval", "1")
    with redis.conn() as direct, larder.conn() as conn:
        kept = {db: (load(direct, conn, f"hot{db}", db), load(direct, conn, f"cold{db}", db))
                for db in (0, 5)}
        reads = calls(redis, "get"), calls(redis, "hgetall")
        for db in (0, 5):
            poll(lambda: are_told(direct, conn, *kept[db], db), WAIT, 0.2, "idle times differ")
        assert (calls(redis, "get"), calls(redis, "hgetall")) == reads, "all others were hits"
        stats = tier(conn, "L2")
        assert stats["touch_errors"] == 0 and stats["touch_rounds"] >= 3
        assert stats["touches"] >= 2 * 2 * N * 2
        assert stats["touch_commands"] <= stats["touches"] / 16, "many keys in one command"
        assert int(info(conn)["l2_touches"]) >= stats["touches"]
        direct("SELECT", 0)
        direct("SET", "hot0:s:0", "new")
        conn("SELECT", 0)
        poll(lambda: conn("GET", "hot0:s:0") == b"new", why="a key that was touched is tracked")


def test_frequency(new_redis, new_larder):
    redis = new_redis("--maxmemory-policy", "allkeys-lfu", "--lfu-log-factor", "0",
                      "--lfu-decay-time", "0")
    larder = new_larder(redis, "--l2-touch-interval", "1")

    def are_frequent():
        hit(conn, hot)
        return min(object_of(direct, "FREQ", hot)) >= 9
    with redis.conn() as direct, larder.conn() as conn:
        hot, cold = load(direct, conn, "hot"), load(direct, conn, "cold")
        first = max(object_of(direct, "FREQ", hot))
        assert first < 9
        poll(are_frequent, WAIT, 0.2, "each round is an access")
        rounds = tier(conn, "L2")["touch_rounds"]
        assert max(object_of(direct, "FREQ", hot)) <= first + rounds + 1, "and only one"
        assert max(object_of(direct, "FREQ", cold)) <= first


def write(direct, prefix, n):
    """Keys that are read three times each, so that LFU ranks them above what was read once."""
    for key in (f"{prefix}:{i}" for i in range(n)):
        direct.pipeline([("SET", key, VALUE)] + [("GET", key)] * 3)


def exist(direct, keys):
    return sum(direct.pipeline([("EXISTS", k) for k in keys]))


@pytest.mark.parametrize("policy,on", [("allkeys-lru", True), ("allkeys-lru", False),
                                       ("allkeys-lfu", True), ("allkeys-lfu", False)])
def test_write_pressure(policy, on, new_redis, new_larder):
    """L2 is full, and new keys take the place of about half of what it has. What L1 was hit for
    stays; without TOUCH it goes like everything else."""
    redis = new_redis("--maxmemory-policy", policy, "--maxmemory-samples", "10",
                      "--lfu-log-factor", "0", "--lfu-decay-time", "0")
    larder = new_larder(redis, "--l2-touch-interval", "1" if on else "0")
    with redis.conn() as direct, larder.conn() as conn:
        hot, cold = load(direct, conn, "hot"), load(direct, conn, "cold")
        write(direct, "before", 2000)

        def are_used():
            if not on:
                hit(conn, hot)
                return policy == "allkeys-lfu" or min(object_of(direct, "IDLETIME", cold)) >= 4
            if policy == "allkeys-lru":
                return are_told(direct, conn, hot, cold)
            hit(conn, hot)
            return min(object_of(direct, "FREQ", hot)) >= 12
        poll(are_used, WAIT, 0.2, "hot keys are in use")
        assert exist(direct, hot + cold) == len(hot + cold)
        direct("CONFIG", "SET", "maxmemory", info(direct, "memory")["used_memory"])
        write(direct, "after", 1200)
        n_hot, n_cold = exist(direct, hot), exist(direct, cold)
        told = f"{n_hot} of {len(hot)} hot, {n_cold} of {len(cold)} cold ones are left"
        assert n_cold < len(cold) * 3 // 4, told
        if on:
            assert n_hot >= len(hot) - 2, told
        else:
            assert n_hot < len(hot) * 3 // 4, told


def test_off(new_redis, new_larder):
    """Beside another larder, whose keys show how time goes by."""
    redis = new_redis("--maxmemory-policy", "allkeys-lru")
    larder, other = new_larder(redis, "--l2-touch-interval", "1"), new_larder(
        redis, "--l2-touch-interval", "0")
    with redis.conn() as direct, larder.conn() as conn, other.conn() as off:
        seen, cold = load(direct, conn, "seen"), load(direct, conn, "cold")
        hidden = load(direct, off, "hidden")

        def are_told_of_one():
            hit(off, hidden)
            return are_told(direct, conn, seen, cold)
        poll(are_told_of_one, WAIT, 0.2, "the other larder tells")
        assert min(object_of(direct, "IDLETIME", hidden)) >= 4
        assert touches(off) == 0
        # And at run time.
        assert off("CONFIG", "SET", "l2-touch-interval", 1) == b"OK"
        poll(lambda: are_told(direct, off, hidden, cold), WAIT, 0.2, "switched on")
        assert off("CONFIG", "SET", "l2-touch-interval", 0) == b"OK"
        total = touches(off)
        rounds = tier(conn, "L2")["touch_rounds"]

        def are_two_rounds_over():
            hit(off, hidden)
            hit(conn, seen)
            return tier(conn, "L2")["touch_rounds"] >= rounds + 3
        poll(are_two_rounds_over, WAIT, 0.2, "the other larder's rounds go on")
        assert touches(off) == total
        assert isinstance(off("CONFIG", "SET", "l2-touch-interval", -1), Error)


def test_policy_that_needs_none(new_redis, new_larder):
    """larder asks for the policy once a round, so it hears of another one, too."""
    redis = new_redis("--maxmemory-policy", "noeviction")
    larder = new_larder(redis, "--l2-touch-interval", "1")
    with redis.conn() as direct, larder.conn() as conn:
        hot, cold = load(direct, conn, "hot"), load(direct, conn, "cold")
        asked = calls(redis, "config|get")

        def has_asked():
            hit(conn, hot)
            return calls(redis, "config|get") >= asked + 3
        poll(has_asked, WAIT, 0.2, "rounds go by")
        assert calls(redis, "touch") == 0 and touches(conn) == 0
        direct("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        poll(lambda: are_told(direct, conn, hot, cold), WAIT, 0.2, "the new policy is noticed")


def test_touch_that_is_denied(new_redis, new_larder):
    """One line in the log, no harm otherwise, and it is tried again in each round."""
    redis = new_redis("--maxmemory-policy", "allkeys-lru")
    redis.once("ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all", "-touch")
    larder = new_larder(redis, "--l2-touch-interval", "1", "--upstream-username", "app",
                        "--upstream-password", "secret")
    with redis.conn() as direct, larder.conn() as conn:
        hot = load(direct, conn, "hot")

        def has_failed():
            hit(conn, hot)
            return tier(conn, "L2")["touch_errors"] >= 2
        poll(has_failed, WAIT, 0.2, "TOUCH fails")
        assert larder.log().count("refuses TOUCH") == 1
        assert tier(conn, "L2")["touch_rounds"] == 0
        hits = tier(conn, "L1")["hits"]
        hit(conn, hot)
        assert tier(conn, "L1")["hits"] == hits + len(hot)
        redis.once("ACL", "SETUSER", "app", "+touch")
        cold = load(direct, conn, "cold")
        poll(lambda: are_told(direct, conn, hot, cold), WAIT, 0.2, "allowed again")


def test_l2_is_lost_in_a_round(new_redis, new_larder):
    redis = new_redis("--maxmemory-policy", "allkeys-lru")
    larder = new_larder(redis, "--l2-touch-interval", "1")
    with larder.conn() as conn:
        with redis.conn() as direct:
            hot = load(direct, conn, "hot")
        poll(lambda: hit(conn, hot) or touches(conn) > 0, WAIT, 0.05, "TOUCH")
        redis.kill()
        redis.start()
        larder.linked()
        before = touches(conn)
        with redis.conn() as direct:
            hot, cold = load(direct, conn, "hot"), load(direct, conn, "cold")
            poll(lambda: are_told(direct, conn, hot, cold), WAIT, 0.2, "TOUCH again")
        assert touches(conn) > before
