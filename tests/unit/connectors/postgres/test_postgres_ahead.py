"""Tables that are asked about together: each question once, each answer once, and none for long."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from connectors.postgres.ahead import PAGE, Ahead
from verifier.errors import Permanent, Temporary
from verifier.table import TableName

NAMES = [TableName("s", f"t{n}") for n in range(2 * PAGE + 5)]


class Asked:
    """Answers with how often it was asked."""

    def __init__(self) -> None:
        self.pages: list[int] = []

    def __call__(self, names: Sequence[TableName]) -> dict[TableName, str | Permanent | Temporary]:
        self.pages.append(len(names))
        told: dict[TableName, str | Permanent | Temporary] = {one: f"{one} {len(self.pages)}" for one in names}
        if NAMES[1] in told:
            told[NAMES[1]] = Temporary("still copied")
        return told


def test_who_expects_nothing_asks_for_one_at_a_time() -> None:
    asked = Asked()
    ahead = Ahead(asked)
    assert [ahead.of(NAMES[0]), ahead.of(NAMES[0])] == ["s.t0 1", "s.t0 2"]
    assert asked.pages == [1, 1]


def test_a_page_is_asked_for_together_and_an_error_is_its_tables_own() -> None:
    asked = Asked()
    ahead = Ahead(asked)
    ahead.expect(NAMES)
    assert ahead.of(NAMES[0]) == "s.t0 1"
    with pytest.raises(Temporary, match="still copied"):
        ahead.of(NAMES[1])
    assert {ahead.of(name)[-2:] for name in NAMES[2:PAGE]} == {" 1"}
    assert {ahead.of(name)[-2:] for name in NAMES[PAGE:]} == {" 2", " 3"}
    assert asked.pages == [PAGE, PAGE, 5]


def test_an_answer_is_given_once_and_not_when_it_is_old(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked()
    ahead = Ahead(asked)
    ahead.expect(NAMES[2:5])
    assert [ahead.of(NAMES[2]), ahead.of(NAMES[3]), ahead.of(NAMES[3])] == ["s.t2 1", "s.t3 1", "s.t3 2"]
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 60)
    assert ahead.of(NAMES[4]) == "s.t4 3"
