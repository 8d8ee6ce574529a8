"""Every row against redis-server and through larder: the same replies, to the byte."""

import pytest

import rows  # noqa: F401  (fills the table)
from support.resp import Deadline
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
