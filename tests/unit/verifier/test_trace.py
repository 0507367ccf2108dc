"""Changes of a key that are read back are held while their values fit, the newest of them."""

from __future__ import annotations

import pytest

from verifier import trace
from verifier.change import Operation
from verifier.position import Lsn
from verifier.trace import Newest, Traced


def test_the_newest_changes_are_held_and_it_is_known_from_where_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "RECALLED_BYTES", 5_000)
    found = Newest()
    for at in range(1, 10):
        found.add(Traced(Lsn(at), Operation.UPDATE, {"v": "x" * 1_000}))
    assert ([one.commit for one in found.behind(None)], found.cut) == ([Lsn(7), Lsn(8), Lsn(9)], Lsn(6))
    assert [one.commit for one in found.behind(Lsn(8))] == [Lsn(9)]
    found.add(Traced(Lsn(10), Operation.UPDATE, {"v": "x" * 9_000}))
    assert [one.commit for one in found.behind(None)] == [Lsn(10)], "one is held, however large"
