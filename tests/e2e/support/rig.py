"""L2, a fault proxy, larder, and a client of each: what scenarios of faults share.

Must not know of single faults.
"""

from support.resp import poll
from support.seen import WAIT, answers_locally, back, is_upstream_error, l1, l2_figure

# Short times, and a prefix whose old values are answered when L2 can't be.
FAST = ("--upstream-ping-interval", "100", "--upstream-timeout", "500",
        "--policy", "sie: ttl=1h stale-if-error=1h")


class Rig:
    """L2, a fault proxy, larder, a client of each; what the scenarios share."""

    def __init__(self, request):
        self.make = request.getfixturevalue
        self.l2 = self.proxy = self.larder = self.conn = self.direct = None

    def start(self, *options, l2=(), proxied=False, upstream=None):
        self.l2 = self.make("new_redis")(*l2)
        return self.front(*options, proxied=proxied, upstream=upstream)

    def front(self, *options, proxied=False, upstream=None):
        """larder, in front of self.l2."""
        if proxied:
            self.proxy = self.make("new_proxy")(self.l2)
            upstream = self.proxy.upstream_value()
        self.larder = self.make("new_larder")(upstream or self.l2, *FAST, *options)
        self.larder.linked()
        self.conn = self.larder.conn(deadline=WAIT)
        self.direct = self.l2.conn(deadline=WAIT)
        if self.l2.password():
            self.direct("AUTH", self.l2.password())
        return self.conn

    def fill(self):
        """Values of an ordinary prefix and of one with stale-if-error, in L1."""
        self.conn("MSET", "k", "v", "sie:k", "v")
        assert self.conn("MGET", "k", "sie:k") == [b"v", b"v"]

    def kill_link(self):
        """What an administrator does to all clients of L2 but himself."""
        assert self.direct("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes") >= 1

    def is_back(self):
        poll(lambda: back(self.conn), WAIT, why="back")
        self.direct("SET", "again", "1")
        poll(lambda: self.conn("GET", "again") == b"1", WAIT)
        self.direct("SET", "again", "2")
        poll(lambda: self.conn("GET", "again") == b"2", WAIT, why="tracking is on")

    def is_down(self, *words):
        """Reads and writes are errors, of which one has the words; stale values are answered."""
        poll(lambda: is_upstream_error(self.conn("SET", "probe", "v")), WAIT)
        for command in (("GET", "k"), ("GET", "never seen"), ("LPUSH", "l", "a"), ("NOSUCH",),
                        ("MGET", "a", "b"), ("EVAL", "return 1", 0)):
            assert is_upstream_error(self.conn(*command)), command
        assert self.conn("GET", "sie:k") == b"v"
        assert l1(self.conn, "stale_if_error") >= 1
        for text in words:
            poll(lambda: text in self.conn("GET", "never seen"), WAIT, why=text)
        answers_locally(self.conn)

    def connects(self):
        return l2_figure(self.conn, "connects")

    def same_link(self):
        """A check, for later, that the link was not lost meanwhile."""
        before = self.connects()

        def check():
            assert self.connects() == before and l2_figure(self.conn, "up") == 1
            assert l2_figure(self.conn, "breaker") == b"closed"
        return check

    def close(self):
        for conn in (self.conn, self.direct):
            if conn is not None:
                conn.close()
