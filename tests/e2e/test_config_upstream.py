"""What is L2's in CONFIG and INFO: parameters and figures that larder doesn't have, as if it
weren't there."""

import pytest

from support.resp import OK, Error, flat_map, poll

FOREIGN = [("list-max-listpack-size", "5"), ("hash-max-listpack-entries", "7"),
           ("set-max-intset-entries", "9"), ("zset-max-ziplist-entries", "11"),
           ("notify-keyspace-events", "KEA"), ("stream-node-max-entries", "13"),
           ("save", "100 1"), ("appendonly", "no")]


@pytest.fixture
def both(new_redis, new_larder):
    l2 = new_redis("--masterauth", "hidden-password")
    return l2, new_larder(l2)


def info(conn, *sections):
    text = conn("INFO", *sections).decode()
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


@pytest.mark.parametrize("proto", (2, 3))
def test_set_and_get(proto, both):
    l2, larder = both
    with larder.conn(proto) as conn, l2.conn(proto) as direct:
        for name, value in FOREIGN:
            assert conn("CONFIG", "SET", name, value) == OK
            assert conn.ask("CONFIG", "GET", name).raw == direct.ask("CONFIG", "GET", name).raw
        for words in (("SET", "hash-max-listpack-entries", "x"), ("SET", "nosuch", "1"),
                      ("SET", "hash-max-listpack-entries", "1", "nosuch", "2"),
                      ("SET", "list-max-listpack-size", "1", "list-max-listpack-size", "2"),
                      ("SET", "maxclients", "100", "nosuch", "1"), ("GET", "nosuch"),
                      ("GET", "hash-max-*", "HASH-max-listpack-entries")):
            assert conn.ask("CONFIG", *words).raw == direct.ask("CONFIG", *words).raw, words


def test_patterns_show_both_and_larders_win(both):
    l2, larder = both
    with larder.conn() as conn, l2.conn() as direct:
        every, theirs = flat_map(conn("CONFIG", "GET", "*")), flat_map(direct("CONFIG", "GET", "*"))
        assert set(theirs) <= set(every) and "l1-ttl" in every
        assert every["port"] == str(larder.port).encode()
        assert every["databases"] == b"16" and every["maxmemory"] != theirs["maxmemory"]
        pairs = conn("CONFIG", "GET", "*")
        assert len(pairs) == 2 * len(every), "each once"
        assert flat_map(conn("CONFIG", "GET", "port", "set-max-intset-entries")) == \
            {"port": str(larder.port).encode(), "set-max-intset-entries": b"512"}


def test_larders_and_l2s_in_one_call(both):
    _, larder = both
    with larder.conn() as conn:
        before = conn("CONFIG", "GET", "maxclients")[1]
        try:
            got = conn.pipeline([("CONFIG", "SET", "maxclients", 99, "set-max-intset-entries", 3,
                                  "client-max-inflight", 77),
                                 ("CONFIG", "GET", "maxclients")])
            assert got == [OK, [b"maxclients", b"99"]]
            assert conn("CONFIG", "GET", "set-max-intset-entries")[1] == b"3"
            # All or nothing, whoever refuses.
            for words in (("maxclients", 50, "set-max-intset-entries", "x"),
                          ("maxclients", "x", "set-max-intset-entries", 4),
                          ("set-max-intset-entries", 4, "upstream", "127.0.0.1:1"),
                          ("maxclients", 50, "set-max-intset-entries", 4, "maxclients", 51),
                          ("maxclients", 50, "set-max-intset-entries", 4, "nosuch", 1)):
                assert isinstance(conn("CONFIG", "SET", *words), Error), words
                assert conn("CONFIG", "GET", "maxclients")[1] == b"99", words
                assert conn("CONFIG", "GET", "set-max-intset-entries")[1] == b"3", words
        finally:
            conn("CONFIG", "SET", "maxclients", before, "set-max-intset-entries", 512)


def test_what_was_shown_can_be_set_again(both):
    """As tools do that copy a configuration; what Redis refuses is left out."""
    _, larder = both
    with larder.conn() as conn:
        for name in ("upstream", "upstream-password-file", "warm-dir", "allow-admin"):
            value = conn("CONFIG", "GET", name)[1]
            assert conn("CONFIG", "SET", name, value) == OK, name
            assert conn("CONFIG", "SET", name, value + b"x") == Error(
                b"ERR CONFIG SET failed (possibly related to argument '%s') - can't set immutable "
                b"config" % name.encode())
        assert isinstance(conn("CONFIG", "SET", "databases", 16), Error)


def test_no_password_of_l2_is_shown(both):
    _, larder = both
    with larder.conn() as conn:
        assert conn("CONFIG", "GET", "masterauth") == [b"masterauth", b"***"]
        assert b"hidden-password" not in conn.ask("CONFIG", "GET", "*").raw
        conn("MULTI")
        conn("CONFIG", "GET", "masterauth")
        conn("CONFIG", "GET", "*")
        assert b"hidden-password" not in conn.ask("EXEC").raw


def test_in_a_transaction(both):
    _, larder = both
    with larder.conn() as conn:
        conn("MULTI")
        conn("CONFIG", "SET", "set-max-intset-entries", 3)
        conn("CONFIG", "GET", "set-max-intset-entries")
        conn("CONFIG", "GET", "timeout")
        conn("CONFIG", "SET", "timeout", 0, "set-max-intset-entries", 4)
        got = conn("EXEC")
        assert got[:3] == [OK, [b"set-max-intset-entries", b"3"], [b"timeout", b"0"]]
        assert isinstance(got[3], Error)


def test_without_l2_larders_own_are_told(both):
    l2, larder = both
    l2.kill()
    with larder.conn() as conn:
        got = flat_map(conn("CONFIG", "GET", "*"))
        assert "l1-ttl" in got and got["save"] == b"" and "set-max-intset-entries" not in got
        assert conn("CONFIG", "SET", "set-max-intset-entries", 3).startswith(b"UPSTREAM ")


def test_info_has_l2s_figures(both):
    l2, larder = both
    with larder.conn() as conn, l2.conn() as direct:
        conn("SET", "k", "v")
        conn("EVAL", "return 1", 0)
        mine, theirs = info(conn, "persistence"), info(direct, "persistence")
        for name in ("rdb_changes_since_last_save", "aof_enabled", "loading", "rdb_last_save_time"):
            assert mine[name] == theirs[name], name
        assert mine["rdb_changes_since_last_save"] == "1" and "db0" not in mine
        assert info(conn, "memory")["number_of_cached_scripts"] == "1"
        assert info(conn)["db0"].startswith("keys=1,")


def test_blocked_and_paused_clients_are_counted(both):
    _, larder = both
    with larder.conn() as conn, larder.conn() as waits:
        def blocked():
            return info(conn, "clients")["blocked_clients"]
        assert blocked() == "0"
        waits.send(b"BLPOP l 0\r\n")
        poll(lambda: blocked() == "1")
        conn("RPUSH", "l", "a")
        assert waits.read().value == [b"l", b"a"] and blocked() == "0"
        conn("CLIENT", "PAUSE", 60000, "WRITE")
        waits.send(b"SET k v\r\n")
        poll(lambda: blocked() == "1")
        conn("CLIENT", "UNPAUSE")
        assert waits.read().value == OK and blocked() == "0"


def test_errors_of_l2_count_as_failed_calls(both):
    _, larder = both
    with larder.conn() as conn:
        conn("SET", "k", "v")
        assert isinstance(conn("LPUSH", "k", "a"), Error)
        assert b"failed_calls=1" in [line for line in conn("INFO", "commandstats").splitlines()
                                     if line.startswith(b"cmdstat_lpush:")][0]


def test_exec_says_why_l2_refused(both):
    l2, larder = both
    for server in (l2, larder):
        with server.conn() as conn, l2.conn() as direct:
            conn("MULTI")
            conn("SET", "k", "v")
            direct("CONFIG", "SET", "min-replicas-to-write", 2)
            assert conn("EXEC") == Error(b"EXECABORT Transaction discarded because of: NOREPLICAS "
                                         b"Not enough good replicas to write.")
            direct("CONFIG", "SET", "min-replicas-to-write", 0)
            assert conn("GET", "k") != b"v"
