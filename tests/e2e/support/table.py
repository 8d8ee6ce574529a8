"""The differential table: rows of commands, how their replies compare, and how they are run.

A row is a short script. Its first use: against redis-server, where the replies that the row states
must come. Its second: the same script, in the same mode, against redis-server and against larder;
any difference is a failure unless the step carries a comparator or a listed deviation.
Owns the notation and the comparison. Must not know which servers it is given.
"""

import ast
import itertools
import re

from support.resp import (NIL, OK, Big, Closed, Conn, Double, Error, Map, Null, Set, Simple,
                          Verbatim, encode)

WORD = re.compile(r'"((?:[^"\\]|\\.)*)"|(\S+)')
TABLE = []

# Commands that can be asked twice without changing anything: the second one is an L1 hit.
READS = set("""GET MGET EXISTS STRLEN GETRANGE SUBSTR TTL PTTL EXPIRETIME PEXPIRETIME TYPE LCS
    DBSIZE KEYS DUMP HGET HMGET HGETALL HLEN HKEYS HVALS HEXISTS HSTRLEN LRANGE LLEN LINDEX LPOS
    SMEMBERS SCARD SISMEMBER SMISMEMBER SINTER SUNION SDIFF SINTERCARD ZRANGE ZREVRANGE ZSCORE
    ZMSCORE ZCARD ZRANK ZREVRANK ZCOUNT ZLEXCOUNT ZRANGEBYSCORE ZRANGEBYLEX ZREVRANGEBYSCORE
    ZREVRANGEBYLEX ZINTER ZUNION ZDIFF XRANGE XREVRANGE XLEN XINFO XPENDING GEOPOS GEODIST GEOHASH
    GEOSEARCH BITCOUNT BITPOS GETBIT BITFIELD_RO SORT_RO PFCOUNT OBJECT ECHO PING COMMAND
    EVAL_RO""".split())


class Same:
    """Byte for byte."""

    def differ(self, direct, other):
        """None, or what is wrong."""
        return None if direct.raw == other.raw else f"direct {direct}, larder {other}"


class Near:
    """Integers at most `by` apart (milliseconds for PTTL; seconds for TTL at a boundary)."""

    def __init__(self, by):
        self.by = by

    def differ(self, direct, other):
        a, b = direct.value, other.value
        if not (isinstance(a, int) and isinstance(b, int)) or a < 0 or b < 0:
            return Same().differ(direct, other)
        return None if abs(a - b) <= self.by else f"direct {a}, larder {b}: not within {self.by}"


class Unordered:
    """The same aggregate, members in any order, at every depth."""

    def differ(self, direct, other):
        if direct.raw[:1] != other.raw[:1] or canon(direct.value) != canon(other.value):
            return f"direct {direct}, larder {other} (order ignored)"
        return None


class Flat:
    """A RESP2 or RESP3 map, pairs in any order."""

    def differ(self, direct, other):
        same = direct.raw[:1] == other.raw[:1] and canon_pairs(direct) == canon_pairs(other)
        return None if same else f"direct {direct}, larder {other} (pairs in any order)"


class Shape:
    """The same type of reply, whatever it says."""

    def differ(self, direct, other):
        same = direct.raw[:1] == other.raw[:1]
        return None if same else f"direct {direct}, larder {other}: another type"


class Masked:
    """Equal after what matches the pattern is blanked out (addresses, ids, digests)."""

    def __init__(self, pattern, by=b"_"):
        self.pattern = re.compile(pattern, re.S)
        self.by = by

    def differ(self, direct, other):
        a, b = (self.pattern.sub(self.by, r.raw) for r in (direct, other))
        return None if a == b else f"direct {a!r}, larder {b!r} (masked)"


class By:
    """A function (direct value, larder's value) -> None or what is wrong."""

    def __init__(self, function):
        self.function = function

    def differ(self, direct, other):
        return self.function(direct.value, other.value)


class Deviates:
    """A listed deviation: larder's reply must be the one that the list states."""

    def __init__(self, name):
        self.name = name

    def differ(self, direct, other):
        from deviations import DEVIATIONS
        listed = DEVIATIONS[self.name]
        if direct.raw == other.raw:
            return f"{self.name} is listed as a deviation, but larder answers as Redis: {other}"
        return None if listed.accepts(other.value) else f"{self.name}: larder {other}"


def canon(value):
    if isinstance(value, Map):
        return sorted(repr((canon(k), canon(v))) for k, v in value)
    if isinstance(value, list):
        return sorted(repr(canon(v)) for v in value)
    return value


def canon_pairs(reply):
    value = reply.value
    if isinstance(value, list) and not isinstance(value, Map):
        value = list(zip(value[::2], value[1::2]))
    return sorted(map(repr, value)) if isinstance(value, list) else value


class R23:
    """What a step expects where RESP2 and RESP3 differ."""

    def __init__(self, resp2, resp3):
        self.by_proto = {2: resp2, 3: resp3}


class Step:
    """One command: its words, how its replies compare, how many come (0, 1 or "close")."""

    def __init__(self, argv, compare=None, replies=1, twice=None):
        self.argv = words(argv)
        self.compare = compare or Same()
        self.replies = replies
        name = self.argv[0].decode(errors="replace").upper() if self.argv else ""
        self.twice = replies == 1 and (name in READS if twice is None else twice)
        self.expect = {}

    def __str__(self):
        text = b" ".join(w if len(w) <= 40 else w[:20] + b"..." for w in self.argv)
        return text.decode("latin-1").encode("unicode_escape").decode()


class Row:
    def __init__(self, group, name, steps):
        self.group = group
        self.name = name
        self.steps = steps

    def commands(self):
        return {s.argv[0].upper() for s in self.steps if s.argv}


def words(argv):
    """'SET k "a\\x00b"' or ("SET", b"k", …) as a list of bytes."""
    if isinstance(argv, str):
        return [ast.literal_eval(f'b"{m[1]}"') if m[1] is not None else m[2].encode()
                for m in WORD.finditer(argv)]
    return [w if isinstance(w, bytes) else str(w).encode() for w in argv]


def near(argv, by=5000):  # the two servers are asked at different times, on a busy machine
    return Step(argv, Near(by))


def unordered(argv):
    return Step(argv, Unordered())


def shape(argv):
    return Step(argv, Shape(), twice=False)


def masked(argv, pattern, by=b"_"):
    return Step(argv, Masked(pattern, by))


def deviates(name, argv):
    return Step(argv, Deviates(name), twice=False)


def quiet(argv):
    return Step(argv, replies=0)


def closes(argv):
    return Step(argv, replies="close")


def table(group):
    """The function that adds rows of this group: row(step, expected, step, step, expected …)."""
    count = itertools.count(1)

    def row(*items):
        steps = []
        for item in items:
            if isinstance(item, (str, tuple)):
                item = Step(item)
            if isinstance(item, Step):
                steps.append(item)
                continue
            by = item.by_proto if isinstance(item, R23) else {2: item, 3: item}
            steps[-1].expect = by
        name = f"{group}-{next(count):03d}: {'; '.join(map(str, steps))}"
        TABLE.append(Row(group, name if len(name) <= 90 else name[:87] + "...", steps))
    return row


def same_tree(a, b):
    """Equal in value and in RESP type; the three kinds of null are one."""
    if isinstance(a, Null) or isinstance(b, Null):
        return isinstance(a, Null) and isinstance(b, Null)
    if type(a) is not type(b):
        return False
    if isinstance(a, Map):
        return len(a) == len(b) and all(same_tree(x, y) and same_tree(v, w)
                                        for (x, v), (y, w) in zip(a, b))
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same_tree, a, b))
    return a == b


class Mode:
    """How a script is sent."""

    def __init__(self, proto, pipelined, twice):
        self.proto = proto
        self.pipelined = pipelined
        self.twice = twice

    def __str__(self):
        return (f"RESP{self.proto}, {'pipelined' if self.pipelined else 'singly'}, "
                f"reads {'twice' if self.twice else 'once'}")


MODES = [Mode(p, b, t) for p in (2, 3) for b in (False, True) for t in (False, True)]
MARK = b"e2e:the end of the row"


def play(address, row, mode, deadline=5.0):
    """Runs the row on a fresh connection; its list of (step, Reply). Empties the server first."""
    steps = [s for s in row.steps for _ in range(2 if mode.twice and s.twice else 1)]
    with Conn(address, mode.proto, deadline) as conn:
        got = conn("FLUSHALL")
        if got != OK:
            raise AssertionError(f"FLUSHALL before the row: {got!r}")
        if mode.pipelined:
            conn.send(b"".join(encode(*s.argv) for s in steps) + tail(steps))
        replies = []
        for at, step in enumerate(steps):
            if not mode.pipelined:
                conn.send(encode(*step.argv))
            for _ in range(1 if step.replies else 0):
                try:
                    replies.append((step, conn.read()))
                except Closed as end:
                    raise AssertionError(f"step {at + 1}, {step}: {end}") from None
        finish(conn, steps, mode)
    return replies


def tail(steps):
    return b"" if steps[-1].replies == "close" else encode("ECHO", MARK)


def finish(conn, steps, mode):
    """After the last reply: the mark and nothing before it, or the end of the connection."""
    if steps[-1].replies == "close":
        rest = conn.until_closed()
        assert not rest, f"more than one reply before the close: {rest!r}"
        return
    if not mode.pipelined:
        conn.send(tail(steps))
    mark = conn.read()
    assert mark.value == MARK, f"a reply too many: {mark}"


def differences(row, direct, other):
    """What differs between two runs of a row, as lines of text."""
    out = []
    for (step, want), (_, got) in zip(direct, other):
        wrong = step.compare.differ(want, got)
        if wrong:
            out.append(f"{step}: {wrong}")
    if len(direct) != len(other):
        out.append(f"{len(direct)} replies directly, {len(other)} through larder")
    return out


def unexpected(replies, proto):
    """Which replies are not those that the row states."""
    return [f"{step}: {got}, expected {step.expect[proto]!r}" for step, got in replies
            if step.expect and not same_tree(got.value, step.expect[proto])]


def err(text):
    return Error(text.encode())


WRONGTYPE = err("WRONGTYPE Operation against a key holding the wrong kind of value")
SYNTAX = err("ERR syntax error")
NOT_INT = err("ERR value is not an integer or out of range")
NOT_FLOAT = err("ERR value is not a valid float")
NO_KEY = err("ERR no such key")


def arity(name):
    return err(f"ERR wrong number of arguments for '{name}' command")


__all__ = ["NIL", "OK", "Big", "By", "Double", "Error", "Flat", "Map", "Near", "R23", "Set",
           "Shape", "Simple", "Step", "Verbatim", "arity", "closes", "deviates", "err", "masked",
           "near", "quiet", "shape", "table", "unordered", "WRONGTYPE", "SYNTAX", "NOT_INT",
           "NOT_FLOAT", "NO_KEY"]
