"""Invariants: what violates them, what may only look like it, and what cannot be told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from connectors.memory.clock import VirtualClock
from verifier.check import Checker, CheckPolicy
from verifier.errors import Permanent, Temporary
from verifier.excerpt import Hide
from verifier.invariant import EqualByKey, Side, Standing, Violations
from verifier.look import Look, Publishes
from verifier.ports import Answer
from verifier.position import Tick
from verifier.view import Snapshot


@dataclass
class Endpoint:
    """A database that answers SELECTs from a script. `applied` is its position, `open_below` an id still running."""

    answers: dict[str, Callable[[], list[tuple[Any, ...]]]]
    columns: tuple[str, ...] = ("account", "sum")
    titles: dict[str, tuple[str, ...]] = field(default_factory=dict)
    at: int = 10
    publishes: Publishes = Publishes.AFTER_SHOWING
    error: Exception | None = None
    asked: list[str] = field(default_factory=list)
    truncated: bool = False

    def ask(self, sql: str, *, rows_max: int, seconds_max: float) -> Look[Answer]:
        if self.error is not None:
            raise self.error
        self.asked.append(sql)
        rows = tuple(self.answers[sql]())
        columns = ("side", *self.columns) if sql.startswith("select 'left'") else self.titles.get(sql, self.columns)
        return Look(
            Answer(columns, rows, self.truncated), Tick(self.at), Tick(self.at), Snapshot(100, 100, frozenset())
        )

    def position(self) -> Tick:
        return Tick(self.at)

    def mark(self, shown: object = None) -> int:
        return 100


BOOKS = EqualByKey("books", Side("leader", "ledger"), Side("eu", "balances"), grace_seconds=2.0)


def checker(invariant: Any, hide: Hide | None = None, **endpoints: Any) -> Checker:
    return Checker(invariant, endpoints, "leader", VirtualClock(), CheckPolicy(wait_max_seconds=5.0), hide)


def test_violators_are_counted_and_sampled() -> None:
    leader = Endpoint({"q": lambda: [("7", "-1"), ("8", None)]})
    found = checker(Violations("stock", "leader", "q"), leader=leader).check()
    assert (found.standing, found.violations) == (Standing.VIOLATED, 2)
    assert found.sample == ({"account": "7", "sum": "-1"}, {"account": "8", "sum": None})


def concealed(name: str, value: Any) -> Any:
    """Hides a column that is called `sum`, and shows that it is hidden."""
    return f"<{value}>" if name == "sum" and not str(value).startswith("<") else value


@pytest.mark.parametrize("swapped", [False, True])
def test_what_either_side_calls_so_is_hidden(swapped: bool) -> None:
    named, other = (lambda: [("7", "1")]), (lambda: [("7", "2")])
    leader = Endpoint({"ledger": named}, ("account", "total") if swapped else ("account", "sum"))
    eu = Endpoint({"balances": other}, ("account", "sum") if swapped else ("account", "total"))
    checking = checker(BOOKS, concealed, leader=leader, eu=eu)
    assert checking.settled().sample == ({"account": "7", "left": "<1>", "right": "<2>"},)
    asked = [sql for sql in (*leader.asked, *eu.asked) if "where" in sql]
    assert asked == [], "both were told"


def test_of_one_statement_the_second_names_are_asked_for_where_they_matter() -> None:
    both = Endpoint({}, ("account", "total"))
    union = "select 'left' as side, l.* from (l\n) l union all select 'right', r.* from (r\n) r"
    both.answers[union] = lambda: [("left", "7", "1"), ("right", "7", "2")]
    names = "select * from (r\n) r where 1 = 0"
    both.answers[names] = list
    books = EqualByKey("books", Side("leader", "l"), Side("leader", "r"))
    assert checker(books, leader=both).check().sample == ({"account": "7", "left": "1", "right": "2"},)
    assert both.asked == [union], "nothing is hidden"
    both.titles[names] = ("account", "sum")
    assert checker(books, concealed, leader=both).check().sample == ({"account": "7", "left": "<1>", "right": "<2>"},)
    both.answers[union] = list
    assert checker(books, concealed, leader=both).check().standing is Standing.HOLDS
    assert both.asked == [union, union, names, union], "nothing is shown"


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
    found = [checking.check().standing for _ in range(4)]
    assert found == [Standing.UNVERIFIED] * 3 + [Standing.VIOLATED]


def test_a_sum_that_moves_on_the_leader_is_neither_right_nor_wrong() -> None:
    moving = iter([*range(20), *[99] * 100])
    leader = Endpoint({"ledger": lambda: [("1", str(next(moving))), ("2", "7")]})
    eu = Endpoint({"balances": lambda: [("1", "99"), ("2", "7")]})
    checking = checker(BOOKS, leader=leader, eu=eu)
    first = checking.check()
    assert (first.standing, first.violations, checking.ripening) == (Standing.UNVERIFIED, 0, True)
    assert checking.settled().standing is Standing.HOLDS
    assert next(moving) == 99


def test_a_sum_that_moves_at_every_look_stays_unverified_and_ends() -> None:
    moving = iter(range(10_000))
    leader = Endpoint({"ledger": lambda: [("1", str(next(moving))), ("2", "7")]})
    eu = Endpoint({"balances": lambda: [("1", "-5"), ("2", "7")]})
    checking = checker(BOOKS, leader=leader, eu=eu)
    began = checking.clock.now()
    found = checking.settled()
    assert found.standing is Standing.UNVERIFIED
    assert "at every look for 7 s, and never the same for 2 s" in str(found.reason)
    assert 7.0 <= checking.clock.now() - began < 7.5


def test_a_difference_that_changes_begins_anew_and_is_unverified_in_the_end() -> None:
    values = iter(range(1000))
    checking = checker(
        BOOKS,
        leader=Endpoint({"ledger": lambda: [("1", "5")]}),
        eu=Endpoint({"balances": lambda: [("1", str(100 + next(values)))]}),
    )
    found = checking.settled()
    assert (found.standing, found.violations) == (Standing.UNVERIFIED, 1)
    assert "busy or broken" in str(found.reason)


# Another account is between its two transactions at each look, and equal again at the next but one.
BUSY = EqualByKey("books", Side("leader", "a"), Side("leader", "b"), grace_seconds=2.0)
BOTH = "select 'left' as side, l.* from (a\n) l union all select 'right', r.* from (b\n) r"


def busy_shop(clock: VirtualClock, broken: dict[str, str]) -> Callable[[], list[tuple[Any, ...]]]:
    def rows() -> list[tuple[Any, ...]]:
        booking = str(int(clock.now() / 0.8) % 10)
        ledger = [("left", str(n), "5") for n in range(20)]
        off = {booking: "4", **broken}
        return [*ledger, *(("right", str(n), off.get(str(n), "5.00")) for n in range(20))]

    return rows


def test_a_busy_shop_holds_within_its_grace() -> None:
    clock = VirtualClock()
    leader = Endpoint({BOTH: busy_shop(clock, {})})
    checking = Checker(BUSY, {"leader": leader}, "leader", clock, CheckPolicy(wait_max_seconds=5.0))  # type: ignore[dict-item]
    for _ in range(5):
        began = clock.now()
        assert checking.check().standing is Standing.UNVERIFIED
        assert checking.settled().standing is Standing.HOLDS
        assert clock.now() - began <= 2.0
        clock.sleep(60.0)


def test_one_broken_account_in_a_busy_shop_is_the_one_that_is_named() -> None:
    clock = VirtualClock()
    leader = Endpoint({BOTH: busy_shop(clock, {"15": "3"})})
    checking = Checker(BUSY, {"leader": leader}, "leader", clock, CheckPolicy(wait_max_seconds=5.0))  # type: ignore[dict-item]
    found = checking.settled()
    assert (found.standing, found.violations, found.more) == (Standing.VIOLATED, 1, False)
    assert found.sample == ({"account": "15", "left": "5", "right": "3"},)
    clock.sleep(60.0)
    assert checking.check().sample == found.sample


def test_violators_that_are_seen_once_each_do_not_count_and_gone_ones_hold() -> None:
    looks = iter(range(100))
    stock = Violations("stock", "leader", "q", 5.0, key=("account",))
    checking = checker(stock, leader=Endpoint({"q": lambda: [(str(next(looks)), "-1")]}))
    found = []
    for _ in range(8):
        found.append(checking.check())
        checking.clock.sleep(1.0)
    assert {one.standing for one in found} == {Standing.UNVERIFIED, Standing.HOLDS}
    assert all(one.violations == 0 for one in found if one.standing is Standing.HOLDS)


def test_without_a_key_only_a_look_that_finds_nothing_holds() -> None:
    looks = iter(range(1000))
    checking = checker(
        Violations("stock", "leader", "q", 5.0), leader=Endpoint({"q": lambda: [(str(next(looks)), "-1")]})
    )
    found = checking.settled()
    assert found.standing is Standing.UNVERIFIED
    assert "name violators by a `key`" in str(found.reason)


def test_a_violator_whose_row_changes_at_each_look_is_not_said_to_be_gone() -> None:
    stock = iter(range(1, 1000))
    named = Violations("stock", "leader", "q", 5.0, key=("account",))
    checking = checker(named, leader=Endpoint({"q": lambda: [("7", f"-{next(stock)}")]}))
    assert checking.settled().standing is Standing.UNVERIFIED


def test_the_rows_that_stayed_are_counted_and_no_others() -> None:
    looks = iter(range(1000))
    named = Violations("stock", "leader", "q", 5.0, key=("account",))
    leader = Endpoint({"q": lambda: [(f"new{next(looks)}", "-1"), ("7", "-3"), ("7", "-4")]})
    found = checker(named, leader=leader).settled()
    assert (found.standing, found.violations) == (Standing.VIOLATED, 2)
    assert [row["sum"] for row in found.sample] == ["-3", "-4"]


def test_what_counted_during_a_check_is_told_though_it_is_gone_at_its_end() -> None:
    clock = VirtualClock()
    began = clock.now()

    def rows() -> list[tuple[Any, ...]]:
        passed = clock.now() - began
        return [("lasting", "-1")] * (passed < 6.0) + [("busy", f"-{passed}")] * (passed < 8.0)

    stock = Violations("stock", "leader", "q", 5.0, key=("account",))
    endpoints: Any = {"leader": Endpoint({"q": rows})}
    found = Checker(stock, endpoints, "leader", clock, CheckPolicy(wait_max_seconds=5.0)).settled()
    assert (found.standing, found.sample) == (Standing.VIOLATED, ({"account": "lasting", "sum": "-1"},))
    assert clock.now() - began == 8.0


def test_a_look_that_fails_in_between_lets_the_young_begin_anew() -> None:
    leader = Endpoint({"q": lambda: [("7", "-1")]})
    checking = checker(Violations("stock", "leader", "q", 5.0, key=("account",)), leader=leader)
    checking.check()
    checking.clock.sleep(4.0)
    leader.error = Temporary("gone")
    assert checking.check().reason == "gone"
    assert not checking.ripening
    leader.error = None
    checking.clock.sleep(4.0)
    assert checking.check().standing is Standing.UNVERIFIED
    assert checking.settled().standing is Standing.VIOLATED


def test_a_key_that_the_answer_lacks_is_told() -> None:
    stock = Violations("stock", "leader", "q", key=("sku",))
    found = checker(stock, leader=Endpoint({"q": lambda: [("7", "-1")]})).check()
    assert found.standing is Standing.UNVERIFIED
    assert "no column 'sku', which `key` names; there are account, sum" in str(found.reason)


def test_samples_are_bounded_in_rows_and_in_characters() -> None:
    leader = Endpoint({"q": lambda: [(str(n), "x" * 5000) for n in range(50)]}, truncated=True)
    found = checker(Violations("stock", "leader", "q"), leader=leader).check()
    assert (found.violations, found.more, len(found.sample)) == (50, True, 20)
    assert found.sample[0]["sum"] == "x" * 1000 + "… (5,000 characters)"


def test_both_sides_on_one_endpoint_are_one_statement() -> None:
    leader = Endpoint({BOTH: lambda: [("left", "1", "5"), ("right", "1", "6")]})
    found = checker(EqualByKey("books", Side("leader", "a;"), Side("leader", "b")), leader=leader).check()
    assert (found.standing, leader.asked) == (Standing.VIOLATED, [BOTH])


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
        (Endpoint({"ledger": lambda: [("secret", "2"), ("secret", "3")]}), "returns a key twice; group by"),
        (Endpoint({"ledger": lambda: [("1", "2")]}, truncated=True), "more rows than are read at once"),
    ],
)
def test_what_cannot_be_read_is_unverified_with_the_reason(endpoint: Endpoint, said: str) -> None:
    found = checker(BOOKS, leader=endpoint, eu=Endpoint({"balances": list})).check()
    assert found.standing is Standing.UNVERIFIED
    assert said in str(found.reason)
    assert "secret" not in str(found.reason)


def test_sides_of_different_shapes_are_not_compared() -> None:
    eu = Endpoint({"balances": lambda: [("x", "1", "5")]}, columns=("region", "account", "sum"))
    found = checker(BOOKS, leader=Endpoint({"ledger": lambda: [("1", "5")]}), eu=eu).settled()
    assert found.standing is Standing.UNVERIFIED
    assert "the two sides of 'books' return 2 and 3 columns" in str(found.reason)


def test_an_endpoint_that_is_not_there_is_named() -> None:
    found = checker(Violations("stock", "us", "q"), leader=Endpoint({})).check()
    assert "no endpoint 'us'; there are leader" in str(found.reason)
