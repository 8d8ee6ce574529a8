"""What tests see of larder from outside: CACHE EXPLAIN, figures of both tiers, errors of its own, and
waiting for a state.

Must not know of single tests.
"""

import time

from support.resp import OK, Error, flat_map, poll
from support.stats import tier

WAIT = 20.0             # seconds for something that comes by itself, on a busy machine


def explain(conn, key):
    """CACHE EXPLAIN as {field: value}; text as str."""
    got = flat_map(conn("CACHE", "EXPLAIN", key))
    return {k: v.decode() if isinstance(v, bytes) else v for k, v in got.items()}


def state(conn, key):
    """"fresh", "stale", "useless", or "none": not in L1."""
    return explain(conn, key).get("state", "none")


def becomes(conn, key, *states):
    """Waits until L1's entry of the key is in one of the states; which."""
    return poll(lambda: state(conn, key) in states and state(conn, key), WAIT,
                why=f"{key} is {' or '.join(states)}")


def l1(conn, field):
    return tier(conn, "L1")[field]


def l2_figure(conn, field):
    return tier(conn, "L2")[field]


def idle(conn):
    """Waits until no fetch is under way."""
    poll(lambda: l2_figure(conn, "fetches_in_flight") == 0, WAIT, why="no fetch is under way")


def is_upstream_error(value):
    return isinstance(value, Error) and value.startswith(b"UPSTREAM ") and len(value) > 15


def back(conn):
    """True when a write reaches L2; an error until then."""
    got = conn("SET", "probe", "v")
    assert got == OK or isinstance(got, Error), got
    return got == OK


def answers_locally(conn):
    """PING and CACHE STATS come at once whatever L2 does."""
    begin = time.monotonic()
    assert conn("PING") == b"PONG"
    assert "hits" in tier(conn, "L1")
    took = time.monotonic() - begin
    assert took < 5.0, f"{took:.3f} s"
