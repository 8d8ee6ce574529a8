"""ioredis and node-redis, area by area: transactions, Lua, streams, iterators, blocking queues,
and node-redis's client-side cache.

Each script in node/ checks for itself and exits with 0 only when all was as with redis-server,
which is tried as well. (Pub/sub is in test_pubsub.py, everyday things in test_node_clients.py.)
"""

import subprocess

import pytest

from support.stats import tier
from test_node_clients import node  # noqa: F401  (a fixture)

AREAS = ("transactions", "lua", "streams", "scan", "queues")
SCRIPTS = {
    "ioredis": [f"{area}-ioredis" for area in AREAS],
    "node-redis": [f"{area}-node-redis" for area in (*AREAS, "cache")],
}
SECONDS = 60


def run(node, port, *names):                                    # noqa: F811
    done = subprocess.run(["node", node / "areas.mjs", "127.0.0.1", str(port), *names],
                          capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.direct
@pytest.mark.parametrize("client", SCRIPTS)
def test_directly(client, node, redis):                         # noqa: F811
    run(node, redis.port, *SCRIPTS[client])


@pytest.mark.parametrize("name", [name for names in SCRIPTS.values() for name in names])
def test_through_larder(name, node, pair):                      # noqa: F811
    run(node, pair.larder.port, name)
    assert pair.larder.once("INFO", "clients").count(b"blocked_clients:0\r\n") == 1
    with pair.larder.conn() as conn:
        assert tier(conn, "L2")["inflight"] == 0
