"""Seeing what reaches L2: counts by INFO commandstats, and the very commands by MONITOR.

Must not know of larder. What larder sends for itself (handshake, pings, tracking) is left out.
"""

import ast
import re

from support.resp import encode

OWN = {"info", "ping", "hello", "auth", "client", "command", "config", "select", "touch", "echo",
       "monitor", "multi", "exec", "flushall", "flushdb", "latency", "slowlog", "acl", "memory",
       "debug", "swapdb", "module", "object", "dbsize", "time", "role"}
LINE = re.compile(rb'^\d+\.\d+ \[(\d+) ([^\]]*)\] (.*)$', re.S)
ARG = re.compile(r'"(?:[^"\\]|\\.)*"')


def data_calls(redis):
    """How many commands on keys the server ran, larder's own bookkeeping left out."""
    stats = redis.once("INFO", "commandstats").decode()
    total = 0
    for name, calls in re.findall(r"cmdstat_([^:|]+)(?:\|[^:]*)?:calls=(\d+)", stats):
        total += 0 if name in OWN else int(calls)
    return total


class Monitor:
    """Everything that a redis-server runs from now on."""

    def __init__(self, redis):
        self.redis = redis
        self.conn = redis.conn()
        assert self.conn("MONITOR") == b"OK"
        self.count = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.conn.close()

    def seen(self):
        """(database, [word, …]) of each command on data since the last call."""
        self.count += 1
        mark = b"monitor mark %d" % self.count
        self.redis.once("ECHO", mark)
        out = []
        while True:
            found = LINE.match(self.conn.read().value)
            words = [ast.literal_eval("b" + w) for w in ARG.findall(found[3].decode("latin-1"))]
            if words == [b"ECHO", mark]:
                return out
            if words[0].lower().decode() not in OWN and found[2] != b"lua":
                out.append((int(found[1]), [words[0].upper(), *words[1:]]))

    def keys(self, *names):
        """The first keys of the commands seen; of the named commands only, where given."""
        wanted = [n.upper().encode() for n in names]
        return [w[1] for _, w in self.seen() if not wanted or w[0] in wanted]


def burst(*commands):
    """Commands as the bytes of one packet."""
    return b"".join(encode(*c) for c in commands)
