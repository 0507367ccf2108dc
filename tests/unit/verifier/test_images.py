"""After-images of hot keys: what is kept, what is forgotten, and what a follower's row is held against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from verifier.change import Batch, Blindness, Cause, Change, Operation, Transaction
from verifier.drift import Certainty, Difference, Evidence, Kind, Method
from verifier.images import AfterImages, Bounds, Image, States, judge_image
from verifier.look import Look, Publishes, Row
from verifier.outcome import Differs, Equal, Moving
from verifier.position import Tick
from verifier.table import Column, Family, Key, Table, TableName, Value
from verifier.view import NoView
from verifier.window import TransactionWindow

T = TableName("public", "t")
U = TableName("public", "u")
TABLE = Table(T, (Column("id", Family.INTEGER, "bigint"), Column("v", Family.DECIMAL, "numeric")), ("id",))
KEY: Key = (1,)
EVIDENCE = Evidence(Certainty.PROVEN, Method.VISIBILITY)


def tx(at: int, value: str | None, *, table: TableName = T, blind: tuple[Blindness, ...] = ()) -> Transaction:
    """Commits at position 10 * `at`; `value` None deletes the row."""
    change = Change(table, KEY, Operation.DELETE)
    if value is not None:
        change = Change(table, KEY, Operation.UPDATE, {"id": "1", "v": value})
    return Transaction(100 + at, Tick(10 * at), 0.0, (change,), blind)


class Fed:
    """Images behind a window, as the services feed them."""

    def __init__(self, kept: AfterImages, begin: int | None = 0) -> None:
        self.kept, self.window = kept, TransactionWindow()
        self.begin(begin)
        kept.watch(T, [KEY])

    def begin(self, at: int | None) -> None:
        valid_from = None if at is None else Tick(at)
        self.window.begin(valid_from)
        self.kept.begin(valid_from)

    def add(self, batch: Batch) -> None:
        self.kept.add(batch, self.window.add(batch))


def images(*transactions: Transaction, through: int = 0) -> Fed:
    made = Fed(AfterImages(), through)
    made.add(Batch(transactions))
    return made


def told(fed: Fed, surely: int, possibly: int | None = None, *floors: int | None) -> list[Value] | None:
    """The values of the states that a look may show between these transactions."""
    high = Tick(10 * (surely if possibly is None else possibly))
    bounds = Bounds(Tick(10 * surely), (high,), tuple(None if f is None else Tick(10 * f) for f in floors))
    states = fed.kept.states(T, KEY, bounds)
    return None if states is None else [None if image.row is None else image.row["v"] for image in states.shown]


def test_a_look_shows_the_last_state_it_surely_shows_or_one_behind_it() -> None:
    kept = images(tx(1, "a"), tx(2, "b"), tx(3, "c"), tx(4, None))
    assert told(kept, 2) == ["b"]
    assert told(kept, 1, 3) == ["a", "b", "c"]
    assert told(kept, 3, 4) == ["c", None]


def test_nothing_is_said_before_the_first_image_is_surely_shown() -> None:
    assert told(images(tx(2, "b")), 1, 3) is None
    assert images(tx(2, "b")).kept.states(T, KEY, Bounds(None, (Tick(90),))) is None


def test_what_committed_before_the_beginning_is_not_trusted_even_if_it_is_delivered() -> None:
    kept = images(tx(1, "a"), tx(3, "c"), through=20)
    assert told(kept, 2, 3) is None
    assert told(kept, 3) == ["c"]


def test_a_stream_that_does_not_know_yet_where_it_began_says_so_with_its_first_barrier() -> None:
    kept = Fed(AfterImages(), None)
    kept.add(Batch((tx(1, "a"),)))
    kept.add(Batch((tx(2, "b"),), Tick(20)))
    kept.add(Batch((tx(3, "c"),), Tick(30)))
    assert told(kept, 2) is None
    assert told(kept, 3) == ["c"]


def test_what_comes_again_changes_nothing() -> None:
    kept = images(tx(1, "a"), tx(2, "b"))
    kept.add(Batch((tx(1, "a"), tx(2, "b"), tx(3, "c"))))
    assert told(kept, 1, 3) == ["a", "b", "c"]


def test_truncates_and_gaps_forget_the_table_alone_or_all_of_them() -> None:
    truncated = images(tx(1, "a"), tx(2, "b", blind=(Blindness(Cause.TRUNCATE, T),)), tx(3, "c"))
    assert told(truncated, 2, 3) is None
    assert told(truncated, 3) == ["c"]
    elsewhere = images(tx(1, "a"), tx(2, "b", blind=(Blindness(Cause.DDL, U),)))
    assert told(elsewhere, 1, 2) == ["a", "b"]
    lost = images(tx(1, "a"))
    lost.add(Batch((tx(2, "b"),), Tick(40), blind=(Blindness(Cause.GAP),)))
    lost.add(Batch((tx(3, "c"), tx(5, "e")), Tick(60)))
    assert told(lost, 4, 5) is None  # what lies below the barrier that told of the gap may be incomplete
    assert told(lost, 5) == ["e"]


def test_a_table_that_joined_is_judged_by_images_from_behind_that_alone() -> None:
    kept = images(tx(1, "a"), tx(3, "c"))
    assert told(kept, 1, 1, 2) is None
    assert told(kept, 3, 3, 2) == ["c"]
    assert told(kept, 3, 3, None) is None


def test_only_watched_keys_are_kept_and_those_asked_about_longest_ago_go_first() -> None:
    fed = Fed(AfterImages(keys_max=2))
    fed.kept.watch(T, [(1,), (2,)])
    fed.kept.watch(T, [(1,)])
    fed.kept.watch(T, [(3,)])
    assert fed.kept.watched(T, [(1,), (2,), (3,)]) == {(1,), (3,)}
    fed.add(Batch((tx(1, "a", table=U),)))
    assert fed.kept.characters == 0


def test_memory_is_bounded_and_pruning_keeps_what_a_late_look_needs() -> None:
    fed = Fed(AfterImages(characters_max=10_000))
    for at in range(1, 100):
        fed.add(Batch((tx(at, "x"),)))
        fed.kept.prune([Tick(10 * at), Tick(10 * max(1, at - 3))])
    assert fed.kept.characters < 10 * 60
    assert told(fed, 95, 96) == ["x", "x"]
    fed.add(Batch((tx(100, "y" * 20_000),)))
    assert fed.kept.characters == 0
    assert fed.kept.watched(T, [KEY]) == frozenset()


def test_the_window_says_where_a_look_stands() -> None:
    window = TransactionWindow()
    window.begin(Tick(0))
    window.set_mark(100)
    window.add(Batch((tx(1, "a"), tx(2, "b"), tx(3, "c")), Tick(90)))
    look = Look(None, Tick(20), Tick(20), NoView())
    assert window.bounds(T, look, Publishes.AFTER_SHOWING) == Bounds(Tick(20), (Tick(20), Tick(30)))
    assert window.bounds(T, look, Publishes.BEFORE_SHOWING) == Bounds(Tick(10), (Tick(20),))
    window.join(T)
    assert window.bounds(T, look, Publishes.AFTER_SHOWING).floors == (None,)


# the verdict


def row(value: str | None) -> Row | None:
    return None if value is None else Row({"id": "1", "v": value}, 0, None)


def state(at: int, value: str | None) -> Image:
    return Image(Tick(at), None if value is None else {"id": "1", "v": value})


def judged(shown: list[str | None], later: list[str | None], ours: str | None, theirs: str | None) -> object:
    states = States(tuple(state(1, v) for v in shown), tuple(state(2, v) for v in later))
    return judge_image(TABLE, states, row(ours), row(theirs), EVIDENCE)


def test_a_state_that_the_leader_had_is_equal_by_value() -> None:
    assert judged(["1", "2"], [], "2", "1.00") == Equal()
    assert judged(["1", None], [], "1", None) == Equal()


def test_a_state_that_comes_later_or_was_before_is_drift() -> None:
    differs = Differs(Kind.MISMATCHED, {"v": Difference("2", "3")}, EVIDENCE)
    assert judged(["1", "2"], ["3"], "3", "3") == differs
    assert judged(["1"], [], "1", None) == Differs(
        Kind.MISSING, {"id": Difference("1", None), "v": Difference("1", None)}, EVIDENCE
    )
    extra = {"id": Difference(None, "1"), "v": Difference(None, "7")}
    assert judged([None], ["8"], "8", "7") == Differs(Kind.EXTRA, extra, EVIDENCE)


def test_nothing_is_called_drift_where_the_leaders_own_row_was_not_told() -> None:
    assert isinstance(judged(["1", "2"], [], "9", "3"), Moving)


def test_columns_that_were_not_told_can_show_drift_and_never_a_match() -> None:
    wide = replace(TABLE, columns=(*TABLE.columns, Column("big", Family.TEXT, "text")))

    def against(theirs: Mapping[str, Value]) -> object:
        states = States((Image(Tick(1), {"id": "1", "v": "1"}),), ())
        ours = Row({"id": "1", "v": "1", "big": "b"}, 0, None)
        return judge_image(wide, states, ours, Row(theirs, 0, None), EVIDENCE)

    assert isinstance(against({"id": "1", "v": "1", "big": "b"}), Moving)
    differs = Differs(Kind.MISMATCHED, {"v": Difference("1", "2")}, EVIDENCE)
    assert against({"id": "1", "v": "2", "big": "b"}) == differs


def test_a_stream_without_values_judges_nothing() -> None:
    states = States((Image(Tick(1), None, told=False),), ())
    assert isinstance(judge_image(TABLE, states, row("1"), row("2"), EVIDENCE), Moving)
