"""Each listed deviation has a reason, is used by a test, and is named in doc/protocol.md."""

import pytest

import rows  # noqa: F401  (fills the table)
import test_administrative
from deviations import DEVIATIONS
from support.servers import ROOT
from support.table import TABLE, Deviates


@pytest.mark.parametrize("name", DEVIATIONS)
def test_named_in_the_protocol_document(name):
    text = (ROOT / "doc" / "protocol.md").read_text(encoding="utf-8")
    assert f"`{name}`" in text, f"doc/protocol.md doesn't explain the deviation `{name}`"


@pytest.mark.direct
@pytest.mark.parametrize("name", DEVIATIONS)
def test_has_a_reason(name):
    assert len(DEVIATIONS[name].reason) > 30


@pytest.mark.direct
def test_each_is_used():
    used = {s.compare.name for r in TABLE for s in r.steps if isinstance(s.compare, Deviates)}
    if test_administrative.ADMIN:
        used |= {"admin"}
    assert used == set(DEVIATIONS)
