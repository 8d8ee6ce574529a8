"""Fixtures: who runs where, for how long, and what a failing test shows.

`redis` and `pair` live for the session and are emptied for each test; `new_redis` and `new_larder`
start servers for one test. Whatever larder a test used is checked at its end: alive, or left with
status 0, and no complaint in its log.
"""

import resource
import sys

sys.dont_write_bytecode = True

import pytest  # noqa: E402

from support.faults import FaultProxy  # noqa: E402
from support.servers import Failure, Larder, Redis, Server  # noqa: E402

LOG_SHOWN = 6000
FILES_WANTED = 8192


def raise_file_limit():
    """Crowds of clients need more descriptors than many systems give by default."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < FILES_WANTED:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(FILES_WANTED, hard), hard))


raise_file_limit()


def pytest_addoption(parser):
    parser.addoption("--direct-only", action="store_true",
                     help="only what needs redis-server alone (no larder built)")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--direct-only"):
        kept = [i for i in items if i.get_closest_marker("direct")]
        config.hook.pytest_deselected(items=[i for i in items if i not in kept])
        items[:] = kept


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_setup(item):
    item.e2e_logs = {id(s): s.log_size() for s in Server.running}
    yield


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for server in list(Server.running):
            if isinstance(server, Larder):
                text = server.log(getattr(item, "e2e_logs", {}).get(id(server), 0))
                report.sections.append((f"log of larder {server.pid}", text[-LOG_SHOWN:]))


def pytest_unconfigure():
    """Whatever an interrupted test left running."""
    for server in list(Server.running):
        server.discard()


@pytest.fixture(scope="session")
def redis_session():
    server = Redis()
    yield server
    server.discard()


@pytest.fixture
def redis(redis_session):
    """A redis-server that is spoken to directly, empty."""
    redis_session.once("FLUSHALL")
    return redis_session


class Pair:
    """A larder and the redis-server behind it (None: larder alone)."""

    def __init__(self, with_l2, *options):
        self.l2 = Redis() if with_l2 else None
        self.options = options
        self.larder = None
        self.fresh()

    def fresh(self):
        self.larder = Larder(self.l2, "--loglevel", "verbose", *self.options)

    def check(self, since):
        """Failure when larder or L2 died, or larder complained; a fresh one takes its place."""
        if self.l2 and not self.l2.alive():
            self.l2.discard()
            self.larder.discard()
            self.l2 = Redis()
            self.fresh()
            raise Failure("L2 died in this test")
        if not self.larder.alive():
            status, text = self.larder.process.returncode, self.larder.log(since)
            self.larder.discard()
            self.fresh()
            raise Failure(f"larder died ({status}):\n{text[-LOG_SHOWN:]}")
        if self.larder.complaints(since):
            raise Failure(f"larder complains:\n{self.larder.log(since)[-LOG_SHOWN:]}")

    def stop(self):
        try:
            self.larder.stop()
        finally:
            self.larder.discard()
            if self.l2:
                self.l2.discard()


@pytest.fixture(scope="session")
def pair_session():
    pair = Pair(True)
    yield pair
    pair.stop()


@pytest.fixture(scope="session")
def alone_session():
    pair = Pair(False)
    yield pair
    pair.stop()


def checked(pair):
    since = pair.larder.log_size()
    yield pair
    pair.check(since)


@pytest.fixture
def pair(pair_session):
    """larder in front of its own redis-server, both empty."""
    pair_session.l2.once("CONFIG", "RESETSTAT")
    pair_session.larder.once("FLUSHALL")
    yield from checked(pair_session)


@pytest.fixture
def larder(pair):
    return pair.larder


@pytest.fixture
def l2(pair):
    return pair.l2


@pytest.fixture(params=[pytest.param("redis", marks=pytest.mark.direct), "larder"])
def either(request):
    """redis-server, then larder: a test that passes on one only is no good, or has found a bug."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def alone(alone_session):
    """larder without upstream, empty."""
    alone_session.larder.once("FLUSHALL")
    yield from checked(alone_session)


@pytest.fixture
def new_redis():
    """Starts a redis-server for this test: new_redis(option, …, port=free port)."""
    made = []

    def make(*options, port=None):
        made.append(Redis(*options, port=port))
        return made[-1]
    yield make
    for server in made:
        server.discard()


@pytest.fixture
def new_proxy():
    """Starts a fault proxy in front of a Redis for this test: new_proxy(redis)."""
    made = []

    def make(redis):
        made.append(FaultProxy(redis))
        return made[-1]
    yield make
    for server in made:
        server.discard()


@pytest.fixture
def new_larder():
    """Starts a larder for this test: new_larder(upstream, option, …); it must leave cleanly."""
    made = []

    def make(upstream=None, *options, **kwargs):
        server = Larder(upstream, *options, start=False, **kwargs)
        made.append(server)
        return server.start()
    yield make
    faults = []
    for server in made:
        try:
            if server.process is not None and not server.stopped:
                server.stop()
        except Failure as fault:
            faults.append(str(fault))
        server.discard()
    assert not faults, "\n".join(faults)
