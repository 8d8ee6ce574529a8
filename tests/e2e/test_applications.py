"""Frameworks as they come: a BullMQ queue, Django's cache, and what their start looks at."""

import pytest

from test_node_clients import node, run  # noqa: F401  (a fixture)

JOBS = {"attempts": 1100, "done": 1000,
        "counts": {"completed": 1000, "failed": 0, "waiting": 0, "active": 0}}


@pytest.mark.direct
def test_bullmq_directly(node, redis):  # noqa: F811
    assert run(node, "bullmq", redis.port) == JOBS


def test_bullmq_through_larder(node, pair):  # noqa: F811
    """Scripts, transactions, blocking pops and streams at once."""
    assert run(node, "bullmq", pair.larder.port) == JOBS


def test_eviction_policy_is_that_of_l2(pair):
    """Queues refuse a server that evicts; L1's own policy is nothing to them."""
    info = pair.larder.once("INFO", "memory")
    assert b"\r\nmaxmemory_policy:noeviction\r\n" in info
    assert b"\r\nl1_policy:allkeys-lru\r\n" in info
