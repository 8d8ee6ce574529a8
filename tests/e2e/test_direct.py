"""Every row against redis-server itself: the stated replies are Redis's."""

import pytest

import rows  # noqa: F401  (fills the table)
from support.table import MODES, TABLE, play, unexpected

pytestmark = pytest.mark.direct


@pytest.mark.parametrize("row", TABLE, ids=lambda r: r.name)
def test_row(row, redis_session):
    for mode in MODES:
        if not mode.pipelined:
            wrong = unexpected(play(redis_session.address, row, mode), mode.proto)
            assert not wrong, f"{mode}: " + "\n".join(wrong)
