"""Two columns meet in the same form whichever of them leads, and so do their values: no verdict depends on that."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectors.sqlite.catalog import STAND_AS_TEXT
from verifier.canonical import differing_columns
from verifier.compare import meeting
from verifier.table import Column, Family, Table, TableName

OF = {family: Column("v", family, family.value) for family in Family}
COLUMNS = [*OF.values(), Column("v", Family.TEXT, "sqlite's text", stands_for=STAND_AS_TEXT)]
PAIRS = [(one, other, abroad) for one, other in product(COLUMNS, COLUMNS) for abroad in (False, True)]
MET = [(one, other) for one, other, abroad in PAIRS if meeting(one, other, abroad=abroad)]

texts = st.text(" aA01.+-eE,{}[]\\", max_size=6) | st.sampled_from(
    ["a", "a ", "a  ", " a", "", " ", "1", "1.0", "01", "+1", "-0", "1e2", "100", "t", "true", "nan", "NaN", "24:00:00"]
)


def apart(one: Column, left: str, right: str) -> bool:
    """As the leader's table says it: what differs is judged by the leader's columns."""
    return bool(differing_columns(Table(TableName("s", "t"), (one,), ()), {"v": left}, {"v": right}))


@pytest.mark.parametrize("abroad", [False, True])
def test_columns_meet_whichever_leads(abroad: bool) -> None:
    for one, other in product(COLUMNS, COLUMNS):
        met, back = meeting(one, other, abroad=abroad), meeting(other, one, abroad=abroad)
        assert met == (None if back is None else back[::-1]), (one, other)


@given(st.sampled_from(MET), st.booleans(), texts, texts)
@example((OF[Family.TEXT], OF[Family.CHAR]), False, "a ", "a")
@example((OF[Family.ENUM], OF[Family.CHAR]), False, "a ", "a")
def test_values_meet_whichever_leads(pair: tuple[Column, Column], abroad: bool, left: str, right: str) -> None:
    met = meeting(*pair, abroad=abroad)
    if met is not None:
        ours, theirs = met
        assert apart(ours, left, right) == apart(theirs, right, left)
