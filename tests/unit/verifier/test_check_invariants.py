"""Invariants: what violates them, what may only look like it, and what cannot be told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from connectors.memory.clock import VirtualClock
from verifier.check import Checker, CheckPolicy
from verifier.errors import Permanent, Temporary
from verifier.invariant import EqualByKey, Side, Standing, Violations
from verifier.look import Look
from verifier.ports import Answer
from verifier.position import Tick
from verifier.view import Snapshot


@dataclass
class Endpoint:
    """A database that answers SELECTs from a script. `applied` is its position, `open_below` an id still running."""

    answers: dict[str, Callable[[], list[tuple[Any, ...]]]]
    columns: tuple[str, ...] = ("account", "sum")
    at: int = 10
    error: Exception | None = None
    asked: list[str] = field(default_factory=list)
    truncated: bool = False

    def ask(self, sql: str, *, rows_max: int, seconds_max: float) -> Look[Answer]:
        if self.error is not None:
            raise self.error
        self.asked.append(sql)
        rows = tuple(self.answers[sql]())
        columns = ("side", *self.columns) if sql.startswith("select 'left'") else self.columns
        return Look(
            Answer(columns, rows, self.truncated), Tick(self.at), Tick(self.at), Snapshot(100, 100, frozenset())
        )

    def position(self) -> Tick:
        return Tick(self.at)

    def mark(self) -> int:
        return 100


BOOKS = EqualByKey("books", Side("leader", "ledger"), Side("eu", "balances"), grace_seconds=2.0)


def checker(invariant: Any, **endpoints: Any) -> Checker:
    return Checker(invariant, endpoints, "leader", VirtualClock(), CheckPolicy(wait_max_seconds=5.0))


def test_violators_are_counted_and_sampled() -> None:
    leader = Endpoint({"q": lambda: [("7", "-1"), ("8", None)]})
    found = checker(Violations("stock", "leader", "q"), leader=leader).check()
    assert (found.standing, found.violations) == (Standing.VIOLATED, 2)
    assert found.sample == ({"account": "7", "sum": "-1"}, {"account": "8", "sum": None})


def test_no_violator_holds() -> None:
    found = checker(Violations("stock", "leader", "q"), leader=Endpoint({"q": list})).check()
    assert (found.standing, found.violations) == (Standing.HOLDS, 0)


def test_a_violation_younger_than_its_grace_is_not_one_yet() -> None:
    checking = checker(Violations("stock", "leader", "q", 5.0), leader=Endpoint({"q": lambda: [("7", "-1")]}))
    assert checking.check().standing is Standing.UNVERIFIED
    assert checking.ripening
    assert checking.settled().standing is Standing.VIOLATED


def test_numbers_are_equal_by_value_and_absent_equals_only_absent() -> None:
    leader = Endpoint({"ledger": lambda: [("1", "5.0"), ("2", "7")]})
    eu = Endpoint({"balances": lambda: [("1", "5.00"), ("3", "0")]})
    found = checker(BOOKS, leader=leader, eu=eu).settled()
    assert found.standing is Standing.VIOLATED
    assert found.sample == (
        {"account": "2", "left": "7", "right": None},
        {"account": "3", "left": None, "right": "0"},
    )


def test_across_endpoints_one_look_is_never_enough() -> None:
    eu = Endpoint({"balances": lambda: [("1", "6")]})
    checking = checker(
        EqualByKey("books", Side("leader", "ledger"), Side("eu", "balances")),
        leader=Endpoint({"ledger": lambda: [("1", "5")]}),
        eu=eu,
    )
    assert checking.check().standing is Standing.UNVERIFIED
    assert checking.check().standing is Standing.VIOLATED


def test_a_sum_that_moves_on_the_leader_is_left_out() -> None:
    moving = iter(range(1000))
    leader = Endpoint({"ledger": lambda: [("1", str(next(moving))), ("2", "7")]})
    eu = Endpoint({"balances": lambda: [("1", "-5"), ("2", "7")]})
    assert checker(BOOKS, leader=leader, eu=eu).settled().standing is Standing.HOLDS


def test_a_difference_that_changes_begins_anew() -> None:
    values = iter(range(1000))
    checking = checker(
        BOOKS,
        leader=Endpoint({"ledger": lambda: [("1", "5")]}),
        eu=Endpoint({"balances": lambda: [("1", str(100 + next(values)))]}),
    )
    for _ in range(10):
        assert checking.check().standing is Standing.UNVERIFIED
        checking.clock.sleep(1.0)


def test_both_sides_on_one_endpoint_are_one_statement() -> None:
    sql = "select 'left' as side, l.* from (a) l union all select 'right', r.* from (b) r"
    leader = Endpoint({sql: lambda: [("left", "1", "5"), ("right", "1", "6")]})
    found = checker(EqualByKey("books", Side("leader", "a;"), Side("leader", "b")), leader=leader).check()
    assert (found.standing, leader.asked) == (Standing.VIOLATED, [sql])


def test_a_follower_that_does_not_come_is_unverified() -> None:
    leader = Endpoint({"ledger": lambda: [("1", "5")]}, at=20)
    found = checker(BOOKS, leader=leader, eu=Endpoint({"balances": list}, at=10)).check()
    assert found.standing is Standing.UNVERIFIED
    assert found.reason is not None
    assert "did not apply" in found.reason


@pytest.mark.parametrize(
    ("endpoint", "said"),
    [
        (Endpoint({}, error=Temporary("gone")), "gone"),
        (Endpoint({}, error=Permanent("column x does not exist")), "column x"),
        (Endpoint({"ledger": lambda: [("1",)]}, columns=("sum",)), "needs the key columns"),
        (Endpoint({"ledger": lambda: [("1", "2"), ("1", "3")]}), "twice"),
        (Endpoint({"ledger": lambda: [("1", "2")]}, truncated=True), "more than"),
    ],
)
def test_what_cannot_be_read_is_unverified_with_the_reason(endpoint: Endpoint, said: str) -> None:
    found = checker(BOOKS, leader=endpoint, eu=Endpoint({"balances": list})).check()
    assert found.standing is Standing.UNVERIFIED
    assert said in str(found.reason)


def test_an_endpoint_that_is_not_there_is_named() -> None:
    found = checker(Violations("stock", "us", "q"), leader=Endpoint({})).check()
    assert "no endpoint 'us'; there are leader" in str(found.reason)
