"""Cached replies: reads of one key other than GET are answered by L1 the second time, to the byte as
Redis answers them, until anything changes the key."""

import re

import pytest

from support.resp import NIL, OK, Error, encode, flat_map, poll
from support.stats import info, number, tier
from support.watch import Monitor, data_calls

MAKE = [
    ("HSET", "h", "f", "v", "g", "12", "empty", ""),
    ("RPUSH", "l", "a", "b", "a", "c", "d"),
    ("SADD", "s", "a", "b", "3"),
    ("ZADD", "z", "1", "a", "2.5", "b", "inf", "c", "2.5", "d"),
    ("ZADD", "lex", "0", "a", "0", "b", "0", "c"),
    ("XADD", "x", "1-1", "f", "v"),
    ("XADD", "x", "2-1", "f", "w", "g", "y"),
    ("SET", "b", "foobar\x00\r\n"),
    ("GEOADD", "geo", "13.361389", "38.115556", "Palermo", "15.087269", "37.502669", "Catania"),
    ("PFADD", "hll", "a", "b", "c"),
    ("PFADD", "hll2", "x"),
    ("RPUSH", "other", "o"),
]

# Each reads the key at word 1; its second use must not reach L2.
READS = [
    "HGET h f", "HGET h nofield", "HMGET h f nofield g", "HGETALL h", "HKEYS h", "HVALS h",
    "HLEN h", "HEXISTS h f", "HEXISTS h nofield", "HSTRLEN h f", "hget h f", "HgEtAlL h",
    "LRANGE l 0 -1", "LRANGE l 5 9", "LINDEX l 0", "LINDEX l 99", "LLEN l", "LPOS l a",
    "LPOS l a COUNT 0", "LPOS l nothing", "LPOS l nothing COUNT 0", "LPOS l a RANK -1 MAXLEN 0",
    "SMEMBERS s", "SISMEMBER s a", "SISMEMBER s no", "SMISMEMBER s a no 3", "SCARD s",
    "ZRANGE z 0 -1", "ZRANGE z 0 -1 WITHSCORES", "ZRANGE z 0 1 REV WITHSCORES",
    "ZRANGE z (1 +inf BYSCORE LIMIT 0 2", "ZRANGE lex [a (c BYLEX", "ZRANGEBYSCORE z -inf 2.5",
    "ZRANGEBYSCORE z 1 inf WITHSCORES LIMIT 1 2", "ZREVRANGE z 0 -1", "ZREVRANGE z 0 1 WITHSCORES",
    "ZREVRANGEBYSCORE z inf 2 WITHSCORES", "ZRANGEBYLEX lex - +", "ZREVRANGEBYLEX lex + -",
    "ZSCORE z b", "ZSCORE z c", "ZSCORE z no", "ZMSCORE z a no c", "ZRANK z b", "ZRANK z no",
    "ZREVRANK z b", "ZCARD z", "ZCOUNT z 2 3", "ZLEXCOUNT lex - +",
    "XRANGE x - +", "XRANGE x - + COUNT 1", "XRANGE x 9 +", "XRANGE x - + COUNT 0",
    "XREVRANGE x + -", "XLEN x",
    "GETBIT b 1", "GETBIT b 100000", "BITCOUNT b", "BITCOUNT b 0 3 BIT", "BITPOS b 1",
    "BITPOS b 0 1",
    "BITFIELD_RO b GET u8 0 GET i5 3", "STRLEN b", "GETRANGE b 1 3", "SUBSTR b 0 -1",
    "TYPE b", "TYPE z", "EXISTS h",
    "GEOPOS geo Palermo no", "GEODIST geo Palermo Catania", "GEODIST geo Palermo Catania km",
    "GEODIST geo Palermo no", "GEOHASH geo Palermo no",
    "GEOSEARCH geo FROMLONLAT 15 37 BYRADIUS 200 km ASC WITHCOORD WITHDIST WITHHASH",
    "GEORADIUS_RO geo 15 37 200 km WITHDIST ASC", "GEORADIUSBYMEMBER_RO geo Palermo 300 km ASC",
    "DUMP h", "DUMP l", "DUMP b",
]

# What must reach L2 each time, with MAKE's keys.
NEVER = [
    "SRANDMEMBER s", "SRANDMEMBER s 2", "HRANDFIELD h", "HRANDFIELD h 2 WITHVALUES",
    "ZRANDMEMBER z", "ZRANDMEMBER z 2 WITHSCORES", "RANDOMKEY", "XREAD COUNT 1 STREAMS x 0",
    "XINFO STREAM x", "XINFO GROUPS x", "XPENDING x group", "OBJECT ENCODING h", "SCAN 0", "HSCAN h 0", "SSCAN s 0",
    "ZSCAN z 0", "SORT l ALPHA", "SORT_RO l ALPHA", "SORT_RO l BY nosort GET #", "DBSIZE", "KEYS *",
    "SINTER s s", "SDIFF s", "SUNION s", "SINTERCARD 1 s", "ZINTER 1 z", "ZDIFF 1 z", "LCS b b",
    "PFCOUNT hll nothing",
]

ERRORS = [
    "HGET l f", "HGETALL b", "LRANGE h 0 -1", "LINDEX l x", "LRANGE l 0", "HGET h", "HGETALL",
    "ZRANGE z 0 -1 NOSUCH", "ZCOUNT z x y", "XRANGE x x y", "GETBIT h 0", "GETBIT b -1",
    "BITCOUNT b x y", "BITPOS b 2", "SMEMBERS z", "GEODIST geo a b furlong", "LPOS l a COUNT -1",
    "PFCOUNT h", "STRLEN h", "GETRANGE h 0 1", "BITFIELD_RO b SET u8 0 1",
    "GEORADIUS_RO geo 15 37 200 km STORE k",
]

# A change for each kind of key: what is read, and commands of which each must make the read new.
CHANGES = [
    ("HGETALL h", ["HSET h f new", "HSET h another 1", "HDEL h g", "HINCRBY h g 5", "HSETNX h n 1",
                   "HINCRBYFLOAT h g 0.5", "HMSET h f 3"]),
    ("HGET h f", ["HSET h f new", "HDEL h f", "DEL h", "UNLINK h", "RENAME h h2", "EXPIRE h -1"]),
    ("HLEN h", ["HSET h another 1", "COPY l h REPLACE", "RENAME l h"]),
    ("LRANGE l 0 -1", ["RPUSH l e", "LPUSH l e", "LPOP l", "RPOP l 2", "LSET l 0 x", "LREM l 1 a",
                       "LTRIM l 0 1", "LINSERT l BEFORE b x", "RPOPLPUSH l l2",
                       "LMOVE l l2 LEFT LEFT", "SORT s ALPHA STORE l", "LMPOP 1 l LEFT",
                       "LPUSHX l x"]),
    ("LLEN l", ["RPUSHX l e", "LMOVE other l LEFT LEFT"]),
    ("SMEMBERS s", ["SADD s new", "SREM s a", "SMOVE s s2 a", "SPOP s", "SINTERSTORE s s nothing",
                    "SUNIONSTORE s s", "SDIFFSTORE s s nothing"]),
    ("ZRANGE z 0 -1 WITHSCORES", ["ZADD z 7 a", "ZADD z 1 new", "ZINCRBY z 3 a", "ZREM z a",
                                  "ZPOPMIN z", "ZPOPMAX z", "ZREMRANGEBYRANK z 0 0",
                                  "ZREMRANGEBYSCORE z 1 1", "ZRANGESTORE z z 0 0",
                                  "ZUNIONSTORE z 1 lex", "GEOADD z 1 1 here", "ZMPOP 1 z MIN"]),
    ("XRANGE x - +", ["XADD x 9-1 f v", "XDEL x 1-1", "XTRIM x MAXLEN 1"]),
    ("XLEN x", ["XADD x 9-1 f v", "XTRIM x MAXLEN 0"]),
    ("BITCOUNT b", ["SETBIT b 0 1", "SET b x", "APPEND b x", "SETRANGE b 0 zzz", "BITOP NOT b b",
                    "BITFIELD b SET u8 0 255", "GETDEL b", "GETSET b y", "MSET a 1 b 2"]),
    ("GEOPOS geo Palermo", ["GEOADD geo 1 1 Palermo", "ZREM geo Palermo"]),
    ("PFCOUNT hll", ["PFADD hll new", "PFMERGE hll hll2", "DEL hll"]),
    ("EXISTS h", ["DEL h", "RENAME h h2"]),
    ("TYPE h", ["COPY l h REPLACE", "RESTORE h 0 {dump} REPLACE"]),
    ("DUMP h", ["HSET h f new", "RESTORE h 0 {dump} REPLACE"]),
    ("HGETALL h", ["FLUSHDB", "FLUSHALL", "EVAL return(redis.call('hset',KEYS[1],'f','new')) 1 h",
                   "EVAL return(redis.call('hset','h','f','new')) 0", "MOVE h 9", "SWAPDB 0 9"]),
]
CHANGES = [(read, write) for read, writes in CHANGES for write in writes]
SAME = ("SUNIONSTORE s s", "SDIFFSTORE s s nothing")     # written, and as it was


def words(text):
    return text.split(" ")


def calls(redis, name):
    """How often a server ran a command, "container|subcommand" too."""
    found = re.search(rf"cmdstat_{re.escape(name)}:calls=(\d+)",
                      redis.once("INFO", "commandstats").decode())
    return int(found[1]) if found else 0


def write_words(text, server):
    """A write of CHANGES: {dump} is a set as DUMP gives it, a script has blanks."""
    dump = server.once("DUMP", "s")
    argv = [dump if w == "{dump}" else w for w in text.split(" ")]
    return [a.replace("return(", "return (") if isinstance(a, str) else a for a in argv]


def fill(server):
    with server.conn() as conn:
        conn("FLUSHALL")
        for command in MAKE:
            assert not isinstance(conn(*command), Error), command


@pytest.mark.parametrize("proto", (2, 3))
@pytest.mark.parametrize("where", ("there", "missing"))
def test_second_reads_stay_here(proto, where, pair):
    """All at once, with the keys and without: to the byte as Redis, and none reaches L2 twice."""
    if where == "there":
        fill(pair.l2)
    with pair.larder.conn(proto) as conn, pair.l2.conn(proto) as direct:
        for text in READS:
            argv = words(text)
            expected = direct.ask(*argv).raw
            assert conn.ask(*argv).raw == expected, text
            before = data_calls(pair.l2)
            for _ in range(2):
                assert conn.ask(*argv).raw == expected, text
            assert data_calls(pair.l2) == before, f"{text} was sent to L2"


def test_both_protocols_share_a_reply(pair):
    fill(pair.l2)
    with pair.larder.conn(2) as two, pair.larder.conn(3) as three:
        with pair.l2.conn(2) as direct2, pair.l2.conn(3) as direct3:
            for i, text in enumerate(READS):
                argv = words(text)
                first, second = (two, three) if i % 2 else (three, two)
                expected = {two: direct2.ask(*argv).raw, three: direct3.ask(*argv).raw}
                assert first.ask(*argv).raw == expected[first], text
                before = data_calls(pair.l2)
                assert second.ask(*argv).raw == expected[second], text
                assert data_calls(pair.l2) == before, text


@pytest.mark.parametrize("proto", (2, 3))
def test_count_of_one_hyperloglog(proto, pair):
    """PFCOUNT writes the count that it found into its key, so the second one is kept."""
    fill(pair.l2)
    with pair.larder.conn(proto) as conn:
        assert [conn("PFCOUNT", "hll") for _ in range(2)] == [3, 3]
        before = data_calls(pair.l2)
        assert [conn("PFCOUNT", "hll") for _ in range(2)] == [3, 3]
        assert data_calls(pair.l2) == before
        assert conn("PFADD", "hll", "d") == 1 and conn("PFCOUNT", "hll") == 4
        assert conn("PFCOUNT", "nokey") == conn("PFCOUNT", "nokey") == 0


@pytest.mark.parametrize("text", NEVER)
def test_never_kept(text, pair):
    fill(pair.l2)
    pair.l2.once("XGROUP", "CREATE", "x", "group", "0")
    name = words(text)[0].lower()
    name = f"{name}|{words(text)[1].lower()}" if name in ("object", "xinfo") else name
    before = calls(pair.l2, name)
    with pair.larder.conn() as conn:
        for _ in range(3):
            conn(*words(text))
    assert calls(pair.l2, name) == before + 3


@pytest.mark.parametrize("text", ERRORS)
def test_errors_are_not_kept(text, pair):
    fill(pair.l2)
    argv = words(text)
    for proto in (2, 3):
        with pair.larder.conn(proto) as conn, pair.l2.conn(proto) as direct:
            expected = direct.ask(*argv)
            assert isinstance(expected.value, Error)
            for _ in range(3):
                assert conn.ask(*argv).raw == expected.raw
    if len(argv) > 1:
        got = flat_map(pair.larder.once("CACHE", "EXPLAIN", argv[1]))
        assert number(got["replies"]) == 0


@pytest.mark.parametrize("proto", (2, 3))
@pytest.mark.parametrize("read,write", CHANGES)
def test_a_write_through_larder(read, write, proto, pair):
    """The next read is behind the write, on this connection and on others."""
    fill(pair.l2)
    argv = write_words(write, pair.l2)
    with pair.larder.conn(proto) as conn, pair.larder.conn(proto) as other:
        with pair.l2.conn(proto) as direct:
            before = conn.ask(*words(read)).raw
            assert conn.ask(*words(read)).raw == other.ask(*words(read)).raw == before
            assert not isinstance(conn(*argv), Error), write
            got = conn.ask(*words(read)).raw
            assert got == direct.ask(*words(read)).raw
            assert got != before or write in SAME
            assert conn.ask(*words(read)).raw == other.ask(*words(read)).raw == got


# Redis 7.0 does not push SWAPDB; l1-ttl bounds what it leaves behind.
@pytest.mark.parametrize("read,write", [c for c in CHANGES if c[1] != "SWAPDB 0 9"])
def test_a_write_at_l2(read, write, pair):
    fill(pair.l2)
    argv = write_words(write, pair.l2)
    with pair.larder.conn() as conn, pair.l2.conn() as direct:
        before = conn.ask(*words(read)).raw
        assert conn.ask(*words(read)).raw == before
        assert not isinstance(direct(*argv), Error), write
        expected = direct.ask(*words(read)).raw
        poll(lambda: conn.ask(*words(read)).raw == expected)
        assert conn.ask(*words(read)).raw == expected


def test_every_reply_of_a_key_goes_at_once(pair):
    fill(pair.l2)
    reads = [words(t) for t in READS if t.split(" ")[1] == "h"]
    with pair.larder.conn() as conn, pair.l2.conn() as direct:
        for change in (lambda: conn("HSET", "h", "f", "one", "new", "1"),
                       lambda: direct("HSET", "h", "f", "two", "newer", "2"),
                       lambda: conn("CACHE", "INVALIDATE", "h"),
                       lambda: conn("CACHE", "INVALIDATE", "PREFIX", "h"),
                       lambda: conn("CACHE", "FLUSH")):
            for argv in reads + reads:
                conn(*argv)
            assert number(flat_map(conn("CACHE", "EXPLAIN", "h"))["replies"]) >= 9
            change()
            poll(lambda: number(flat_map(conn("CACHE", "EXPLAIN", "h"))["replies"]) == 0)
            assert [conn.ask(*a).raw for a in reads] == [direct.ask(*a).raw for a in reads]


def test_invalidate_counts_a_key_once(pair):
    fill(pair.l2)
    with pair.larder.conn() as conn:
        for text in ("GET b", "BITCOUNT b", "GETBIT b 1", "HGETALL h", "TYPE h"):
            conn(*words(text))
        assert conn("CACHE", "INVALIDATE", "b", "h", "nothing") == 2
        for text in ("GET b", "BITCOUNT b", "HGETALL h", "HLEN h"):
            conn(*words(text))
        assert conn("CACHE", "INVALIDATE", "PREFIX", "") == 2


def test_pipelined_behind_a_write(pair):
    """In one packet, each read sees the writes before it and none behind it."""
    with pair.larder.conn() as conn:
        for _ in range(20):
            commands, expected = [("DEL", "h")], []
            for i in range(30):
                commands += [("HSET", "h", "f", str(i)), ("HGET", "h", "f"), ("HLEN", "h"),
                             ("HGET", "h", "f")]
                expected += [b"%d" % i, 1, b"%d" % i]
            got = conn.pipeline(commands)[1:]
            assert [v for i, v in enumerate(got) if i % 4] == expected


def test_databases_are_apart(pair):
    with pair.larder.conn() as conn, pair.larder.conn() as other:
        other("SELECT", 3)
        conn("HSET", "h", "f", "zero")
        other("HSET", "h", "f", "three")
        for _ in range(2):
            assert conn("HGET", "h", "f") == b"zero" and other("HGET", "h", "f") == b"three"
        before = data_calls(pair.l2)
        assert conn("HGET", "h", "f") == b"zero" and other("HGET", "h", "f") == b"three"
        assert data_calls(pair.l2) == before
        other("FLUSHDB")
        assert conn("HGET", "h", "f") == b"zero" and other("HGET", "h", "f") is NIL
        assert other("SELECT", 16) == b"ERR DB index is out of range"
        assert conn("COPY", "h", "h2", "DB", 3) == 1 and other("HGET", "h2", "f") == b"zero"
        assert other("HGET", "h", "f") is NIL and conn("MOVE", "h", 3) == 1
        assert conn("HGET", "h", "f") is NIL and other("HGET", "h", "f") == b"zero"


def test_deadlines(pair):
    """A key that expires takes its replies along; one whose time is changed, too."""
    with pair.larder.conn() as conn:
        conn("HSET", "h", "f", "v")
        conn("PEXPIRE", "h", 1000)
        assert conn("HGET", "h", "f") == conn("HGET", "h", "f") == b"v"
        poll(lambda: conn("HGET", "h", "f") is NIL)
        assert conn("HLEN", "h") == 0
        conn("HSET", "h", "f", "v")
        conn("EXPIRE", "h", 100)
        conn("HGETALL", "h")
        got = flat_map(conn("CACHE", "EXPLAIN", "h"))
        assert got["kind"] == b"reply" and 90000 < number(got["ttl_ms"]) <= 100000
        assert got["key_expires"] == b"yes" and got["deadline"] == b"key"
        conn("PERSIST", "h")
        assert number(flat_map(conn("CACHE", "EXPLAIN", "h"))["replies"]) == 0
        conn("HGETALL", "h")
        got = flat_map(conn("CACHE", "EXPLAIN", "h"))
        assert got["key_expires"] == b"never" and got["deadline"] == b"larder"


def test_time_to_live_of_replies(new_redis, new_larder):
    l2 = new_redis()
    larder = new_larder(l2, "--l1-ttl", "1")
    with larder.conn() as conn:
        conn("HSET", "h", "f", "v")
        conn("HGET", "h", "f")
        before = l2.calls("hget")
        poll(lambda: conn("HGET", "h", "f") == b"v" and l2.calls("hget") > before, every=0.05)


def test_variants_are_bounded(new_redis, new_larder):
    l2 = new_redis()
    larder = new_larder(l2, "--l1-max-variants", "4")
    with larder.conn() as conn:
        conn("RPUSH", "l", *range(20))
        for i in range(4):
            assert conn("LINDEX", "l", i) == b"%d" % i
        before = l2.calls("lindex")
        assert [conn("LINDEX", "l", i) for i in range(4)] == [b"0", b"1", b"2", b"3"]
        assert l2.calls("lindex") == before
        assert number(flat_map(conn("CACHE", "EXPLAIN", "l"))["replies"]) == 4
        conn("LINDEX", "l", 4)
        assert number(flat_map(conn("CACHE", "EXPLAIN", "l"))["replies"]) == 1
        assert tier(conn, "L1")["reply_resets"] == 1
        conn("LINDEX", "l", 4)
        assert l2.calls("lindex") == before + 1
        conn("LINDEX", "l", 0)
        assert l2.calls("lindex") == before + 2
        assert conn("CONFIG", "SET", "l1-max-variants", "0") == OK
        for _ in range(2):
            conn("LINDEX", "l", 0)
        assert l2.calls("lindex") == before + 4
        assert conn("CONFIG", "SET", "l1-max-variants", "64") == OK
        conn("LSET", "l", 0, "new")
        assert conn("LINDEX", "l", 0) == b"new"


def test_a_key_that_is_written_often_leaves_nothing_behind(pair):
    """What a change has left is overwritten by the next reply to the same read."""
    with pair.larder.conn() as conn:
        conn("HSET", "h", "f", -1)
        conn("HGETALL", "h")
        size = tier(conn, "L1")["size"]
        for i in range(200):
            conn("HSET", "h", "f", i)
            assert conn("HGETALL", "h") == [b"f", b"%d" % i]
        assert tier(conn, "L1")["size"] == size


def test_large_replies_are_passed_on(new_redis, new_larder):
    l2 = new_redis()
    larder = new_larder(l2, "--l1-max-item", "1000", "--maxmemory", "1mb")
    with larder.conn(3) as conn, l2.conn(3) as direct:
        direct("RPUSH", "l", *("x" * 100 for _ in range(30000)))
        for _ in range(2):
            assert conn.ask("LRANGE", "l", 0, -1).raw == direct.ask("LRANGE", "l", 0, -1).raw
            assert conn.ask("LRANGE", "l", 0, 9).raw == direct.ask("LRANGE", "l", 0, 9).raw
            assert conn("LRANGE", "l", 0, 0) == [b"x" * 100]
        assert number(flat_map(conn("CACHE", "EXPLAIN", "l"))["replies"]) == 1
        assert tier(conn, "L1")["fills_refused"] >= 4


def test_single_flight(pair):
    """What comes while the same read is under way waits for it; another read does not."""
    fill(pair.l2)
    with pair.larder.conn() as conn, Monitor(pair.l2) as monitor:
        before = tier(conn, "L2")["joins"]
        got = conn.pipeline([("HGETALL", "h"), ("HGET", "h", "f"), ("HGET", "h", "g")] * 10)
        assert got[1::3] == [b"v"] * 10 and got[2::3] == [b"12"] * 10
        seen = [w for _, w in monitor.seen() if w[0] in (b"HGETALL", b"HGET")]
        assert sorted(seen) == [[b"HGET", b"h", b"f"], [b"HGET", b"h", b"g"], [b"HGETALL", b"h"]]
        assert tier(conn, "L2")["joins"] == before + 27


def test_the_loss_of_the_link_drops_them(pair):
    fill(pair.l2)
    with pair.larder.conn() as conn, pair.l2.conn() as direct:
        assert conn("HGET", "h", "f") == conn("HGET", "h", "f") == b"v"
        direct("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        direct("HSET", "h", "f", "new")
        poll(lambda: conn("HGET", "h", "f") == b"new", 5.0)


def test_without_l1(new_redis, new_larder):
    l2 = new_redis()
    larder = new_larder(l2, "--l1-enabled", "no")
    with larder.conn() as conn:
        conn("HSET", "h", "f", "v")
        for i in range(3):
            assert conn("HGET", "h", "f") == b"v" and l2.calls("hget") == i + 1


def test_watch_reads_from_l2(pair):
    """While a client watches, L1 is not asked for it."""
    fill(pair.l2)
    with pair.larder.conn() as conn:
        conn("HGET", "h", "f")
        before = pair.l2.calls("hget")
        conn("WATCH", "h")
        assert conn("HGET", "h", "f") == b"v" and pair.l2.calls("hget") == before + 1
        conn("UNWATCH")
        assert conn("HGET", "h", "f") == b"v" and pair.l2.calls("hget") == before + 1


def test_keyspace_counts(pair):
    fill(pair.l2)
    with pair.larder.conn() as conn:
        conn("CONFIG", "RESETSTAT")
        for text in ("HGET h f", "HGET h no", "HLEN none", "LINDEX l 0"):
            for _ in range(3):
                conn(*words(text))
        got = info(conn, "stats")
        assert (got["keyspace_hits"], got["keyspace_misses"]) == ("9", "3")
        l1 = tier(conn, "L1")
        assert l1["reply_hits"] == 8 and l1["reply_fills"] == 4 and l1["negative_hits"] == 2


def test_names_of_keys_do_not_collide(pair):
    """Keys and arguments of any bytes, cut at any place."""
    cuts = [("h", "ff"), ("hf", "f"), ("h\x00", "f"), ("h", "\x00f"), ("", "hff"), ("h", ""),
            ("", "")]
    with pair.larder.conn() as conn:
        for i, (key, field) in enumerate(cuts):
            conn("HSET", key, field, str(i))
        for _ in range(3):
            for i, (key, field) in enumerate(cuts):
                assert conn("HGET", key, field) == b"%d" % i
                assert conn("HMGET", key, field) == [b"%d" % i]
                assert conn("HSTRLEN", key, field) == 1


def test_a_reader_who_leaves(pair):
    """Its fetch goes on for others."""
    fill(pair.l2)
    with pair.larder.conn() as conn:
        leaver = pair.larder.conn()
        leaver.send(encode("HGETALL", "h") * 100)
        leaver.close()
        assert conn("HLEN", "h") == 3
        assert len(conn("HGETALL", "h")) == 6


def test_exists_of_several_keys_is_taken_apart(new_redis, new_larder):
    """Each key's answer is kept by itself, of any type, and shared with EXISTS of one key."""
    l2 = new_redis()
    larder = new_larder(l2)
    with larder.conn() as conn, l2.conn() as direct:
        direct("SET", "s", "v")
        direct("HSET", "h", "f", "v")
        assert conn("GET", "s") == b"v"
        assert conn("EXISTS", "s", "h", "none", "h", "s") == 4
        asked = l2.calls("exists")
        assert asked == 2, "s is in L1, h and none are asked for once each"
        assert conn("EXISTS", "h") == 1
        assert conn("EXISTS", "none", "h") == 1
        assert conn("EXISTS", "h", "h", "h") == 3
        assert l2.calls("exists") == asked
        direct("DEL", "h")
        poll(lambda: conn("EXISTS", "h", "s") == 1, 5.0, why="L2's invalidation")
        direct("SET", "none", "v")
        poll(lambda: conn("EXISTS", "none", "h") == 1, 5.0, why="L2's invalidation")
        conn.send(encode("DEL", "s") + encode("EXISTS", "s", "none") + encode("SET", "s", "w")
                  + encode("EXISTS", "s", "none"))
        assert [conn.read().value for _ in range(4)] == [1, 1, OK, 2]
    larder.stop()


def test_exists_of_several_keys_without_l2(new_redis, new_larder):
    l2 = new_redis()
    larder = new_larder(l2)
    with larder.conn() as conn:
        assert conn("EXISTS", "a", "b") == 0
        l2.kill()
        poll(lambda: isinstance(conn("EXISTS", "a", "c", "b"), Error), 5.0)
        got = conn("EXISTS", "a", "c", "b")
        assert got.startswith(b"UPSTREAM "), got
        assert conn("PING") == b"PONG"
    larder.stop()
