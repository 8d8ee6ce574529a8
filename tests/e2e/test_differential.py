"""Every row against redis-server and through larder: the same replies, to the byte."""

import pytest

import rows  # noqa: F401  (fills the table)
from support.resp import Conn, Deadline, encode
from support.table import MODES, TABLE, differences, play


@pytest.mark.parametrize("row", TABLE, ids=lambda r: r.name)
def test_row(row, redis_session, pair):
    wrong = []
    for mode in MODES:
        direct = play(redis_session.address, row, mode)
        try:
            got = play(pair.larder.address, row, mode)
        except Deadline as late:
            pytest.fail(f"{mode}: {late}")
        except AssertionError as fault:
            pytest.fail(f"{mode}: {fault}")
        wrong += [f"[{mode}] {d}" for d in differences(row, direct, got)]
    assert not wrong, "\n".join(wrong)


# Rows that leave the connection as it was, apart from its database, with short commands.
PLAIN = [r for r in TABLE if r.group != "connection"
         and all(s.replies == 1 for s in r.steps)
         and sum(len(w) for s in r.steps for w in s.argv) < 20000]
BATCH_BYTES = 60000


def batches(group):
    """Rows of a group whose commands fit into one packet."""
    batch, size = [], 0
    for row in (r for r in PLAIN if r.group == group):
        size += sum(len(encode(*s.argv)) for s in row.steps)
        if batch and size > BATCH_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(row)
    yield batch


def play_all(address, batch, proto):
    """All rows in one packet, each after SELECT 0 and FLUSHALL; their replies."""
    with Conn(address, proto) as conn:
        out = []
        for row in batch:
            out += [encode("SELECT", 0), encode("FLUSHALL")] + [encode(*s.argv) for s in row.steps]
        conn.send(b"".join(out))
        replies = []
        for row in batch:
            assert conn.read().value == b"OK" == conn.read().value
            replies.append([(s, conn.read()) for s in row.steps])
        return replies


@pytest.mark.parametrize("proto", (2, 3))
@pytest.mark.parametrize("group", sorted({r.group for r in PLAIN}))
def test_all_rows_of_a_group_in_one_packet(group, proto, redis_session, pair):
    wrong = []
    for batch in batches(group):
        direct = play_all(redis_session.address, batch, proto)
        got = play_all(pair.larder.address, batch, proto)
        for row, want, have in zip(batch, direct, got):
            wrong += [f"{row.name}: {d}" for d in differences(row, want, have)]
    assert not wrong, "\n".join(wrong)
