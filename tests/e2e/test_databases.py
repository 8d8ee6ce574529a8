"""Databases: one multiplexed link serves clients that stand in different ones."""

import random
import threading

from support.resp import NIL, poll
from support.watch import data_calls


def test_same_names_do_not_mix(pair):
    with pair.larder.conn() as zero, pair.larder.conn() as one:
        one("SELECT", 1)
        assert zero("GET", "k") is NIL and one("GET", "k") is NIL
        zero("SET", "k", "zero")
        assert one("GET", "k") is NIL
        one("SET", "k", "one")
        filled = None
        for _ in range(3):
            assert zero("GET", "k") == b"zero" and one("GET", "k") == b"one"
            calls = data_calls(pair.l2)
            assert filled in (None, calls), "hits reached L2"
            filled = calls


def test_all_sixteen(pair):
    conns = [pair.larder.conn() for _ in range(16)]
    for db, conn in enumerate(conns):
        assert conn("SELECT", db) == b"OK"
        assert conn("SET", "k", f"in {db}") == b"OK"
    for db, conn in enumerate(conns):
        assert conn("GET", "k") == b"in %d" % db
        assert conn("DBSIZE") == 1
        with pair.l2.conn() as direct:
            direct("SELECT", db)
            assert direct("GET", "k") == b"in %d" % db
        conn.close()


def test_interleaved_pipelines(pair):
    """Eight clients, each hopping between databases in its pipelines, each on keys of its own."""
    faults = []

    def client(number):
        try:
            rng = random.Random(number)
            model = {}
            with pair.larder.conn() as conn:
                db = 0
                for _ in range(30):
                    commands, expected = [], []
                    for _ in range(20):
                        dice = rng.random()
                        key = f"c{number}:{rng.randrange(3)}"
                        if dice < 0.3:
                            db = rng.randrange(16)
                            commands.append(("SELECT", db))
                            expected.append(b"OK")
                        elif dice < 0.6:
                            value = b"%d" % rng.randrange(10 ** 9)
                            model[db, key] = value
                            commands.append(("SET", key, value))
                            expected.append(b"OK")
                        elif dice < 0.7:
                            commands.append(("DEL", key))
                            expected.append(int(model.pop((db, key), None) is not None))
                        else:
                            commands.append(("GET", key))
                            expected.append(model.get((db, key), NIL))
                    got = conn.pipeline(commands)
                    assert got == expected, list(zip(commands, got, expected))
        except Exception as fault:      # noqa: BLE001  (handed to the main thread)
            faults.append(fault)

    threads = [threading.Thread(target=client, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not faults, faults[0]


def test_a_direct_change_reaches_the_right_database(pair):
    with pair.larder.conn() as zero, pair.larder.conn() as five, pair.l2.conn() as direct:
        five("SELECT", 5)
        zero("SET", "k", "zero")
        five("SET", "k", "five")
        assert zero("GET", "k") == b"zero" and five("GET", "k") == b"five"
        direct("SELECT", 5)
        direct("SET", "k", "changed")
        poll(lambda: five("GET", "k") == b"changed")
        assert zero("GET", "k") == b"zero"


def test_swapdb_through_larder(pair):
    with pair.larder.conn() as conn, pair.larder.conn() as one:
        one("SELECT", 1)
        conn("SET", "k", "zero")
        one("SET", "k", "one")
        assert conn("GET", "k") == b"zero" and one("GET", "k") == b"one"
        assert conn("SWAPDB", 0, 1) == b"OK"
        assert conn("GET", "k") == b"one" and one("GET", "k") == b"zero"


def test_an_upstream_url_with_a_database(new_redis, new_larder):
    l2 = new_redis()
    larder = new_larder(f"redis://127.0.0.1:{l2.port}/7")
    larder.linked()
    with l2.conn() as direct, larder.conn() as conn:
        direct("SELECT", 7)
        direct("SET", "k", "seven")
        poll(lambda: conn("GET", "k") == b"seven", 5.0)
        conn("SET", "l", "through")
        assert direct("GET", "l") == b"through"
