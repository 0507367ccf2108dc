"""Which tables a pattern means."""

from __future__ import annotations

import pytest

from connectors.client.patterns import matcher
from verifier.table import TableName


@pytest.mark.parametrize(
    ("patterns", "found"),
    [
        (["*"], ["a.t", "a.t1", "b.t"]),
        ([], ["a.t", "a.t1", "b.t"]),
        (["t"], ["a.t", "b.t"]),
        (["a.*"], ["a.t", "a.t1"]),
        (["t?"], ["a.t1"]),
        (["!a.*"], ["b.t"]),
        (["a.*", "!t1"], ["a.t"]),
        (["T"], []),
        (["[at].t"], []),
    ],
)
def test_globs(patterns: list[str], found: list[str]) -> None:
    matches = matcher(patterns)
    assert [t for t in ("a.t", "a.t1", "b.t") if matches(TableName.parse(t))] == found
