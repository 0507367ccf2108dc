"""What was touched since a run: on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fixtures.journal_samples import ITEMS, ORDERS, Open, a_drift

from connectors.journal.marks import Marker
from connectors.journal.opening import Journal
from verifier.change import Blindness, Cause
from verifier.journal import Run, StreamState
from verifier.marks import LEADER, Baseline, MarkJournal
from verifier.position import Lsn
from verifier.table import Key, TableName

FOLLOWERS = ["eu"]
TOLD = {ORDERS: "orders 1", ITEMS: "items 1"}


def _run(journal: Journal, name: str, sources: Sequence[str] = (LEADER, "eu")) -> Mapping[str, Baseline]:
    journal.runs.begin(Run(name, "audit", 1.0, "{}"))
    journal.marks.note(name, dict.fromkeys(sources, TOLD))
    return journal.marks.baselines(name)


def _lead(journal: Journal, *keys: int, table: TableName = ORDERS, blind: Sequence[Blindness] = ()) -> None:
    touched = {(table, (key,)): Lsn(key) for key in keys}
    journal.stream.advance(StreamState({"p": 1}, Lsn(9)), touched, blind, followers=FOLLOWERS, at=1.0)


def _verified(journal: Journal) -> None:
    """Everything that waited was equal."""
    journal.stream.settle("eu", journal.stream.touched("eu", limit=1_000), [], at=2.0)


def _write(journal: Journal, *keys: int, blind: Sequence[Blindness] = ()) -> None:
    places: list[tuple[TableName, Key]] = [(ORDERS, (key,)) for key in keys]
    suspects = {place: Lsn(7) for place in places}
    journal.marks.advance("eu", StreamState({"lsn": 5}, Lsn(5)), places, blind, suspects, at=1.0)


def _keys(journal: Journal, run: str, table: TableName = ORDERS, limit: int = 100) -> list[str]:
    since = {source: one.sequence for source, one in journal.marks.baselines(run).items()}
    return list(journal.marks.keys(table, "eu", run, since, after="", limit=limit))


def test_the_journal_is_what_the_protocol_says(journal: Journal) -> None:
    marks: MarkJournal = journal.marks
    assert marks.state(LEADER) == marks.state("eu") == StreamState()


def test_a_run_has_a_baseline_of_each_source_that_is_read(journal: Journal) -> None:
    assert _run(journal, "before") == {}
    _lead(journal, 1, 2)
    assert _run(journal, "leader") == {LEADER: Baseline(2, TOLD)}
    _write(journal, 7)
    assert journal.marks.state("eu") == StreamState({"lsn": 5}, Lsn(5))
    both = _run(journal, "both")
    assert both == {LEADER: Baseline(3, TOLD), "eu": Baseline(1, TOLD)}
    _lead(journal, 3)
    journal.marks.note("both", {LEADER: {}})  # the run is resumed: it began then
    assert journal.marks.baselines("both") == both


def test_only_what_was_touched_behind_the_baseline_is_looked_at(journal: Journal) -> None:
    _lead(journal, 1, 2)
    _write(journal, 7, 8)
    _verified(journal)
    _run(journal, "run")
    assert _keys(journal, "run") == []
    _lead(journal, 2, 3)
    _lead(journal, 4, table=ITEMS)
    _write(journal, 8)
    _verified(journal)
    assert _keys(journal, "run") == ["[2]", "[3]", "[8]"]
    assert _keys(journal, "run", ITEMS) == ["[4]"]
    since = {LEADER: journal.marks.baselines("run")[LEADER].sequence}
    assert journal.marks.keys(ORDERS, "eu", "run", since, after="[2]", limit=1) == ["[3]"]


def test_what_waits_and_what_is_known_to_differ_is_looked_at_too(journal: Journal) -> None:
    _lead(journal, 1, 2)  # waits, and was touched before the run
    journal.runs.begin(Run("run", "audit", 1.0, "{}"))
    journal.marks.note("run", {LEADER: TOLD})
    journal.runs.checkpoint("run", [], [a_drift((5,))])
    journal.drifts.clear("eu", a_drift((5,)).table, [(5,)], 99.0)
    journal.drifts.record([a_drift((6,))])
    assert a_drift((5,)).table == ORDERS
    assert _keys(journal, "run") == ["[1]", "[2]", "[5]", "[6]"]


def test_rogue_writes_wait_to_be_verified_on_their_follower(journal: Journal) -> None:
    _lead(journal, 1)
    _verified(journal)
    _write(journal, 7)
    (waiting,) = journal.stream.touched("eu", limit=10)
    assert (waiting.table, waiting.key, waiting.commit, waiting.generation) == (ORDERS, (7,), Lsn(7), 2)
    _lead(journal, 1)
    assert [one.generation for one in journal.stream.touched("eu", limit=10)] == [2, 3]


def test_blindness_marks_whole_tables_behind_the_baseline(journal: Journal) -> None:
    _lead(journal, 1, blind=[Blindness(Cause.DDL, ITEMS)])
    base = _run(journal, "run")[LEADER].sequence
    assert journal.marks.whole(LEADER, base) == frozenset()
    _lead(journal, 2, blind=[Blindness(Cause.TRUNCATE, ORDERS)])
    assert journal.marks.whole(LEADER, base) == {ORDERS}
    _lead(journal, blind=[Blindness(Cause.GAP)])
    assert journal.marks.whole(LEADER, base) == {ORDERS, None}
    assert journal.marks.whole("eu", 0) == frozenset()
    _write(journal, blind=[Blindness(Cause.GAP)])
    assert journal.marks.whole("eu", 0) == {None}


def test_other_tables_that_changed_are_marked_as_a_whole_and_not_verified(journal: Journal) -> None:
    _lead(journal, 1)
    base = _run(journal, "run")[LEADER].sequence
    journal.stream.advance(StreamState({"p": 2}), {}, [], followers=FOLLOWERS, at=1.0, others=[ITEMS])
    assert journal.marks.whole(LEADER, base) == {ITEMS}
    assert journal.stream.blind() == {}
    assert journal.stream.touched_count("eu") == 1


def test_keys_that_were_given_up_without_a_verdict_mark_their_table(journal: Journal) -> None:
    _lead(journal, 1)
    base = _run(journal, "run")[LEADER].sequence
    journal.stream.forget("eu", journal.stream.touched("eu", limit=9), Blindness(Cause.GAP, ORDERS), at=3.0)
    assert journal.marks.whole(LEADER, base) == {ORDERS}
    _lead(journal, 1)
    assert _keys(journal, "run") == ["[1]"]


def test_too_many_keys_of_a_table_become_the_table_alone(journal: Journal) -> None:
    journal.stream._marker = Marker(journal.store, keys_max=10)
    _lead(journal, 1)
    base = _run(journal, "run")[LEADER].sequence
    for _ in range(5):
        _lead(journal, *range(2, 8))
    _lead(journal, 1, table=ITEMS)
    assert journal.marks.whole(LEADER, base) == frozenset()  # the same keys again are no more keys
    _lead(journal, *range(20, 30))
    assert journal.marks.whole(LEADER, base) == {ORDERS}
    later = _run(journal, "later")[LEADER].sequence
    _verified(journal)
    _lead(journal, 3)
    assert journal.marks.whole(LEADER, later) == frozenset()
    assert _keys(journal, "later") == ["[3]"]


def test_marks_that_no_run_asks_for_are_forgotten(journal: Journal, opened: Open) -> None:
    _lead(journal, 1, 2)
    _run(journal, "run")
    _lead(journal, 2, 3)
    _write(journal, 9)
    _verified(journal)
    assert journal.prune(0.5) == 2  # key 1 of the leader, key 9 of a source without baseline
    assert _keys(journal, "run") == ["[2]", "[3]"]
    assert opened("other").prune(0.5) == 0
