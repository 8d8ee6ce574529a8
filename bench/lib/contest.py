"""Who takes part in bench/compare: each contestant sets itself up, and proves that a run measured
what its name says."""

from lib import load
from lib.servers import Problem

KINDS = ("hit", "pass", "miss", "alone", "redis", "nutcracker", "responder")
LARDER_KINDS = KINDS[:4]

# Of all GETs of a run. Below 1: a key may be evicted by nobody, but a connection may be slow.
HITS_MIN = 0.999
# With MISS_ENTRIES of 100,000 keys in L1, one GET in a thousand hits.
HITS_MAX_MISS = 0.01
MISS_ENTRIES = 100
MAXMEMORY = "1gb"


class Contestant:
    """One row of the tables: a server, possibly with an upstream of its own."""

    operations = ("get", "set")

    def __init__(self, name, kind, program=None):
        self.name = name
        self.kind = kind
        self.program = program
        self.server = None

    def set_up(self, fleet, cores, n_keys):
        """Starts and fills what it needs; cores has .server and .client."""
        raise NotImplementedError

    def before(self, operation, n_keys):
        """Makes ready for a run; what it does is not measured."""

    def counters(self):
        """What after() wants to compare."""
        return None

    def after(self, operation, counters):
        """Fails unless the run since counters() did what it should."""


def _rise(before, after, field):
    return int(after.get(field, 0)) - int(before.get(field, 0))


class _Informed(Contestant):
    """A server with INFO: no error may have been answered, and no GET of ours may miss."""

    def counters(self):
        with self.server.connect() as connection:
            return connection.info()

    def after(self, operation, counters):
        now = self.counters()
        n_errors = _rise(counters, now, "total_error_replies")
        if n_errors > 0:
            raise Problem(f"{self.name}: {n_errors} error replies during {operation}")
        n_nil = _rise(counters, now, "keyspace_misses")
        if operation == "get" and n_nil > 0:
            raise Problem(f"{self.name}: {n_nil} GETs found no value")
        return now


class Redis(_Informed):
    """redis-server itself."""

    def set_up(self, fleet, cores, n_keys):
        self.server = fleet.start_redis(self.name, cores.server)
        load.fill(self.server, n_keys)


class LarderAlone(_Informed):
    """larder without an upstream."""

    def set_up(self, fleet, cores, n_keys):
        self.server = fleet.start_larder(self.name, self.program, cores.server,
                                         "--maxmemory", MAXMEMORY)
        load.fill(self.server, n_keys)


class _LarderTiered(_Informed):
    """larder in front of a redis-server that shares the client's core."""

    options = ()

    def set_up(self, fleet, cores, n_keys):
        upstream = fleet.start_redis(f"{self.name}-upstream", cores.client)
        load.fill(upstream, n_keys)
        self.server = fleet.start_larder(
            self.name, self.program, cores.server, "--upstream", f"127.0.0.1:{upstream.port}",
            "--maxmemory", MAXMEMORY, *self.options)
        load.read_all(self.server, n_keys)

    def _l1_share(self, counters, now):
        hits = _rise(counters, now, "l1_hits")
        asked = hits + _rise(counters, now, "l1_misses")
        if asked == 0:
            raise Problem(f"{self.name}: INFO has no l1_hits and l1_misses, or they don't count")
        return hits / asked


class LarderHit(_LarderTiered):
    """Every GET is answered from L1; a SET goes through to L2 and drops the entry from L1."""

    options = ("--l1-enabled", "yes", "--l1-ttl", "0")
    _is_warm = False

    def before(self, operation, n_keys):
        if operation == "get" and not self._is_warm:
            load.read_all(self.server, n_keys)
        self._is_warm = operation == "get"

    def after(self, operation, counters):
        now = super().after(operation, counters)
        if operation != "get":
            return
        share = self._l1_share(counters, now)
        if share < HITS_MIN:
            raise Problem(f"{self.name}: only {share:.2%} of the GETs were answered from L1")


class LarderPass(_LarderTiered):
    """L1 is off."""

    options = ("--l1-enabled", "no")


class LarderMiss(_LarderTiered):
    """L1 is on, and far too small: a GET is a miss, a fetch, a fill and an eviction."""

    operations = ("get",)
    options = ("--l1-enabled", "yes", "--l1-max-entries", str(MISS_ENTRIES))

    def after(self, operation, counters):
        now = super().after(operation, counters)
        share = self._l1_share(counters, now)
        if share > HITS_MAX_MISS:
            raise Problem(f"{self.name}: {share:.1%} of the GETs were answered from L1")


class Nutcracker(Contestant):
    """twemproxy in front of a redis-server that shares the client's core."""

    def set_up(self, fleet, cores, n_keys):
        upstream = fleet.start_redis(f"{self.name}-upstream", cores.client)
        load.fill(upstream, n_keys)
        self.server = fleet.start_nutcracker(self.name, self.program, cores.server, upstream)
        load.read_all(self.server, n_keys)


class Responder(Contestant):
    """The floor."""

    def set_up(self, fleet, cores, n_keys):
        self.server = fleet.start_responder(self.name, cores.server)


_CLASSES = {"hit": LarderHit, "pass": LarderPass, "miss": LarderMiss, "alone": LarderAlone,
            "redis": Redis, "nutcracker": Nutcracker, "responder": Responder}


def line_up(builds, kinds, nutcracker):
    """The contestants of these kinds, in the order of a round. builds: label to program of each
    larder; nutcracker: its program."""
    programs = {"nutcracker": nutcracker}
    contestants = []
    for kind in kinds:
        if kind in LARDER_KINDS:
            contestants += [_CLASSES[kind](f"{label}-{kind}", kind, program)
                            for label, program in builds.items()]
        else:
            contestants.append(_CLASSES[kind](kind, kind, programs.get(kind)))
    return contestants
