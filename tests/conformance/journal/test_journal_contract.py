"""One contract for the journal, run on SQLite and on PostgreSQL."""

from __future__ import annotations

from dataclasses import replace

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from fixtures.journal_samples import (
    BIG_KEY,
    ITEMS,
    ORDERS,
    PROBABLE,
    Open,
    a_chunk,
    a_drift,
    a_repair,
    an_event,
    touch,
)
from sqlalchemy import text

from connectors.journal.opening import Journal
from connectors.journal.schema import REVISIONS, VERSION_TABLE
from connectors.journal.tables import metadata
from reconciler.ports import Outbox, RepairJournal
from verifier.change import Blindness, Cause
from verifier.digest import Digest
from verifier.drift import Kind, Verdict
from verifier.errors import Misconfigured, Permanent, Unsound
from verifier.journal import DriftJournal, Run, RunJournal, ScanJournal, StreamJournal, StreamState
from verifier.keyrange import ALL
from verifier.position import Lsn, Tick
from verifier.table import TableName


def test_the_journal_is_what_the_protocols_say(journal: Journal) -> None:
    runs: RunJournal = journal.runs
    drifts: DriftJournal = journal.drifts
    stream: StreamJournal = journal.stream
    scans: ScanJournal = journal.scans
    repairs: RepairJournal = journal.repairs
    outbox: Outbox = journal.outbox
    assert None not in (runs, drifts, stream, scans, repairs, outbox)
    assert journal.group == "shop"


def test_migrations_make_what_the_tables_declare(journal: Journal) -> None:
    with journal.store.read() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE, "compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_a_journal_of_a_newer_trueup_is_refused(journal: Journal, opened: Open) -> None:
    with journal.store.write() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    known = rf"newer trueup \(schema 9999, this program knows up to {REVISIONS[-1]}\): upgrade"
    with pytest.raises(Misconfigured, match=known):
        opened()


def test_groups_do_not_see_each_other(journal: Journal, opened: Open) -> None:
    other = opened("other")
    journal.drifts.record([a_drift()])
    journal.outbox.add([an_event("e")])
    journal.stream.advance(StreamState({"p": 1}), {(ORDERS, (1,)): Lsn(1)}, [], followers=["eu"], at=1.0)
    journal.repairs.record([a_repair()], actor="x", at=1.0)
    assert (other.drifts.open(), other.outbox.pending(9), other.repairs.listed()) == ([], [], [])
    assert (other.stream.state(), other.stream.touched_count("eu")) == (StreamState(), 0)
    assert (other.repairs.audit(), other.repairs.audit_broken_at()) == ([], None)


# --- runs


def test_a_run_is_kept_and_finished(journal: Journal, opened: Open) -> None:
    first, second = Run("r1", "audit", 100.0, "settings"), Run("r2", "scan", 200.5, "settings")
    journal.runs.begin(first)
    journal.runs.begin(second)
    journal.runs.begin(first)
    assert journal.runs.recent(10) == [second, first]
    assert journal.runs.recent(1) == [second]
    journal.runs.finish("r1", at=300.25, verdict=Verdict.DRIFT, report='{"version": 1}')
    done = replace(first, finished_at=300.25, verdict=Verdict.DRIFT, report='{"version": 1}')
    assert opened().runs.find("r1") == done
    assert journal.runs.find("none") is None


def test_a_run_cannot_be_resumed_with_other_settings(journal: Journal) -> None:
    journal.runs.begin(Run("r", "audit", 1.0, "a"))
    with pytest.raises(Permanent, match="run r was begun with other settings: resume it with the same"):
        journal.runs.begin(Run("r", "audit", 1.0, "b"))
    with pytest.raises(Permanent, match="there is no run x to finish"):
        journal.runs.finish("x", at=1.0, verdict=Verdict.MATCH, report="")


def test_checkpoints_come_back_whole_and_repeating_one_is_harmless(journal: Journal) -> None:
    journal.runs.begin(Run("r", "audit", 1.0, "s"))
    bad = a_chunk(1, verdict=Verdict.UNVERIFIED, reason="gap", unsettled=3, drifted=1, follower_digest=Digest())
    found = [a_drift((9,)), a_drift((3,)), a_drift(BIG_KEY)]
    journal.runs.checkpoint("r", [bad], found[:1])
    journal.runs.checkpoint("r", [a_chunk(0), a_chunk(0, follower="us")], found[1:])
    journal.runs.checkpoint("r", [bad], found[:1])
    assert journal.runs.results("r", ORDERS) == [a_chunk(0), a_chunk(0, follower="us"), bad]
    assert journal.runs.drifts("r", ORDERS, 10) == found
    assert journal.runs.drifts("r", ORDERS, 2) == found[:2]
    assert journal.runs.results("r", ITEMS) == []
    assert {one.drift.key for one in journal.drifts.open()} == {(9,), (3,), BIG_KEY}


def test_a_runs_finding_stays_when_the_drift_is_cleared(journal: Journal) -> None:
    journal.runs.begin(Run("r", "audit", 1.0, "s"))
    journal.runs.checkpoint("r", [a_chunk(0)], [a_drift()])
    journal.drifts.clear("eu", ORDERS, [(1,)], 11.0)
    journal.runs.checkpoint("r", [a_chunk(0)], [a_drift()])
    assert journal.runs.drifts("r", ORDERS, 10) == [a_drift()]
    assert journal.drifts.open() == []


def test_finished_tables(journal: Journal) -> None:
    journal.runs.begin(Run("r", "audit", 1.0, "s"))
    journal.runs.finish_table("r", ORDERS, '{"a": 1}')
    journal.runs.finish_table("r", ITEMS, "{}")
    journal.runs.finish_table("r", ORDERS, '{"a": 2}')
    assert journal.runs.finished_tables("r") == {ORDERS: '{"a": 2}', ITEMS: "{}"}
    journal.runs.checkpoint("r", [a_chunk(0)], [], {ORDERS: '{"a": 3}'})
    assert journal.runs.finished_tables("r") == {ORDERS: '{"a": 3}', ITEMS: "{}"}
    assert journal.runs.results("r", ORDERS) == [a_chunk(0)]


# --- drift


def test_drift_opens_once_is_refreshed_and_cleared(journal: Journal, opened: Open) -> None:
    first, second = a_drift(at=10.0), a_drift((2, "b"), at=11.0, kind=Kind.MISSING)
    assert journal.drifts.record([first, second]) == [first, second]
    again = a_drift(at=20.0, kind=Kind.EXTRA)
    assert journal.drifts.record([again]) == []
    known = opened().drifts.open()
    assert [(k.drift, k.state, k.first_found_at, k.last_seen_at, k.cleared_at) for k in known] == [
        (again, "open", 10.0, 20.0, None),
        (second, "open", 11.0, 11.0, None),
    ]
    assert journal.drifts.counts() == {("eu", ORDERS, "extra"): 1, ("eu", ORDERS, "missing"): 1}
    assert journal.drifts.clear("us", ORDERS, [(1,)], 30.0) == 0
    assert journal.drifts.clear("eu", ORDERS, [(1,), (5,)], 30.0) == 1
    assert journal.drifts.clear("eu", ORDERS, [(1,)], 31.0) == 0
    gone = journal.drifts.find(first.id)
    assert gone is not None
    assert (gone.state, gone.cleared_at) == ("cleared", 30.0)
    reopened = a_drift(at=40.0)
    assert journal.drifts.record([reopened]) == [reopened]
    back = journal.drifts.find(first.id)
    assert back is not None
    assert (back.state, back.first_found_at, back.cleared_at) == ("open", 40.0, None)


def test_the_later_look_wins_whatever_is_recorded_last(journal: Journal) -> None:
    journal.drifts.record([a_drift(at=10.0)])
    assert journal.drifts.clear("eu", ORDERS, [(1,)], 9.0) == 0
    assert journal.drifts.clear("eu", ORDERS, [(1,)], 12.0) == 1
    assert journal.drifts.record([a_drift(at=11.0)]) == []
    assert journal.drifts.open() == []
    journal.drifts.record([a_drift(at=30.0, kind=Kind.EXTRA)])
    journal.drifts.record([a_drift(at=20.0)])
    assert [one.drift.kind for one in journal.drifts.open()] == [Kind.EXTRA]


def test_a_weaker_look_at_the_same_difference_keeps_the_proof(journal: Journal) -> None:
    journal.drifts.record([a_drift(at=10.0)])
    journal.drifts.record([a_drift(at=20.0, evidence=PROBABLE)])
    [known] = journal.drifts.open()
    assert (known.drift, known.last_seen_at) == (a_drift(at=10.0), 20.0)
    other = a_drift(at=30.0, evidence=PROBABLE, kind=Kind.EXTRA)
    journal.drifts.record([other])
    assert journal.drifts.open()[0].drift == other


def test_drift_is_listed_by_place_and_page(journal: Journal) -> None:
    made = [a_drift((n,), at=float(100 - n)) for n in range(5)]
    elsewhere = [a_drift((7,), follower="us"), a_drift((7,), table=ITEMS)]
    journal.drifts.record([*made, *elsewhere])
    here = journal.drifts.open(table=ORDERS, follower="eu")
    assert [one.drift.key for one in here] == [(4,), (3,), (2,), (1,), (0,)]
    assert [one.drift.key for one in journal.drifts.open(table=ORDERS, follower="eu", limit=2, offset=1)] == [
        (3,),
        (2,),
    ]
    assert [one.drift.table for one in journal.drifts.open(table=ITEMS)] == [ITEMS]
    assert set(journal.drifts.suspects("eu", ORDERS, ALL)) == {(0,), (1,), (2,), (3,), (4,)}
    assert journal.drifts.suspects("us", ORDERS) == [(7,)]


def test_a_drift_with_another_id_is_refused_and_nothing_is_written(journal: Journal) -> None:
    with pytest.raises(Unsound, match="does not carry the id"):
        journal.drifts.record([a_drift(), a_drift((2,), id="mine")])
    with pytest.raises(Unsound):
        journal.drifts.record([a_drift(group="elsewhere")])
    assert journal.drifts.open() == []


def test_more_drift_than_one_page(journal: Journal) -> None:
    made = [a_drift((n,)) for n in range(1203)]
    assert len(journal.drifts.record(made)) == 1203
    assert journal.drifts.record(made) == []
    assert journal.drifts.clear("eu", ORDERS, [(n,) for n in range(2000)], 50.0) == 1203


# --- stream


def test_offsets_and_touched_keys_go_together(journal: Journal, opened: Open) -> None:
    touch(journal, [3, 1], offset=1, at=10.0)
    journal.stream.advance(
        StreamState({"p0": 2, "p1": 2**40}, Tick(7)), {(ITEMS, BIG_KEY): Tick(3)}, [], followers=["eu", "us"], at=11.0
    )
    again = opened()
    assert again.stream.state() == StreamState({"p0": 2, "p1": 2**40}, Tick(7))
    waiting = again.stream.touched("eu", limit=10)
    assert [(t.table, t.key, t.commit, t.touched_at) for t in waiting] == [
        (ORDERS, (3,), Lsn(100), 10.0),
        (ORDERS, (1,), Lsn(101), 10.0),
        (ITEMS, BIG_KEY, Tick(3), 11.0),
    ]
    assert [t.key for t in again.stream.touched("us", limit=2)] == [(3,), (1,)]
    assert [t.key for t in again.stream.touched("us", limit=1, skip=frozenset({(ORDERS, (3,))}))] == [(1,)]
    assert (again.stream.touched_count("eu"), again.stream.touched_count("asia")) == (3, 0)


def test_a_change_that_arrives_during_a_look_is_not_lost(journal: Journal) -> None:
    touch(journal, [1, 2], offset=1, at=10.0)
    looked = journal.stream.touched("eu", limit=10)
    touch(journal, [1], offset=2, at=11.0)
    journal.stream.settle("eu", looked, [], at=12.0)
    [left] = journal.stream.touched("eu", limit=10)
    assert (left.key, left.commit) == ((1,), Lsn(200))
    assert left.generation > looked[0].generation
    journal.stream.settle("eu", [left], [], at=13.0)
    touch(journal, [1], offset=3, at=14.0)
    journal.stream.settle("eu", [left, looked[0]], [], at=15.0)
    assert journal.stream.touched_count("eu") == 1
    assert journal.stream.touched_count("us") == 2


def test_suspects_of_a_scan_join_the_touched_keys(journal: Journal) -> None:
    journal.stream.touch({(ORDERS, (9,)): Lsn(5)}, followers=["eu"], at=1.0)
    assert journal.stream.state() == StreamState()
    touch(journal, [1], offset=1, at=10.0)
    looked = journal.stream.touched("eu", limit=10)
    journal.stream.touch({(ORDERS, (1,)): Lsn(500)}, followers=["eu"], at=11.0)
    journal.stream.settle("eu", looked, [], at=12.0)
    [left] = journal.stream.touched("eu", limit=10)
    assert (left.key, left.commit, left.touched_at) == ((1,), Lsn(500), 11.0)
    assert journal.stream.state() == StreamState({"p0": 1}, Lsn(1))
    assert [t.commit for t in journal.stream.touched("us", limit=10)] == [Lsn(100)]


def test_keys_forgotten_without_a_verdict_leave_drift_open_and_their_table_blind(journal: Journal) -> None:
    journal.drifts.record([a_drift((1,), at=1.0)])
    touch(journal, [1, 2], offset=1, at=10.0)
    looked = journal.stream.touched("eu", limit=10)
    touch(journal, [2], offset=2, at=11.0)
    because = Blindness(Cause.GAP, ORDERS, "it could not be compared")
    journal.stream.forget("eu", looked, because, at=12.0)
    assert [one.key for one in journal.stream.touched("eu", limit=10)] == [(2,)]
    assert journal.stream.touched_count("us") == 2
    assert [one.drift.key for one in journal.drifts.open()] == [(1,)]
    assert journal.stream.blind() == {ORDERS: because}
    journal.stream.sighted(ORDERS, 13.0)
    assert journal.stream.blind() == {}


def test_settling_records_drift_and_clears_what_was_equal(journal: Journal) -> None:
    journal.drifts.record([a_drift((1,), at=1.0), a_drift((2,), at=1.0), a_drift((3,), at=1.0)])
    touch(journal, [1, 2, 5], offset=1, at=10.0)
    looked = journal.stream.touched("eu", limit=10)
    journal.stream.settle("eu", looked, [a_drift((2,), at=20.0), a_drift((5,), at=20.0)], at=20.0)
    assert {one.drift.key for one in journal.drifts.open()} == {(2,), (3,), (5,)}
    assert journal.stream.touched_count("eu") == 0


def test_a_refused_settle_changes_nothing(journal: Journal) -> None:
    touch(journal, [1], offset=1, at=10.0)
    with pytest.raises(Unsound):
        journal.stream.settle("eu", journal.stream.touched("eu", limit=1), [a_drift(id="x")], at=1.0)
    assert journal.stream.touched_count("eu") == 1


def test_blindness_ends_with_a_scan_that_began_later(journal: Journal) -> None:
    cut = Blindness(Cause.TRUNCATE, ORDERS, "tx 7")
    touch(journal, [], offset=1, at=10.0, blind=(cut, Blindness(Cause.DDL, ITEMS)))
    assert journal.stream.blind() == {ORDERS: cut, ITEMS: Blindness(Cause.DDL, ITEMS)}
    journal.stream.sighted(ORDERS, 10.0)
    assert ORDERS in journal.stream.blind()
    journal.stream.sighted(ORDERS, 10.5)
    assert journal.stream.blind() == {ITEMS: Blindness(Cause.DDL, ITEMS)}


def test_blindness_of_all_tables_ends_table_by_table(journal: Journal) -> None:
    gap = Blindness(Cause.GAP, None, "lost")
    journal.stream.sighted(ITEMS, 5.0)
    touch(journal, [], offset=1, at=10.0, blind=(gap,))
    journal.stream.sighted(ORDERS, 11.0)
    assert journal.stream.blind() == {None: gap}
    assert journal.stream.blind([ORDERS, ITEMS]) == {ITEMS: Blindness(Cause.GAP, ITEMS, "lost")}
    journal.stream.sighted(None, 12.0)
    assert journal.stream.blind() == {}


def test_what_a_followers_own_log_lost_is_its_own_until_that_follower_is_read(journal: Journal, opened: Open) -> None:
    cut, gap = Blindness(Cause.TRUNCATE, ORDERS, "tx 7"), Blindness(Cause.GAP, None, "lost")
    both = [ORDERS, ITEMS]
    journal.stream.regained("eu", ITEMS, 3.0)
    journal.stream.lose("eu", [cut], at=10.0)
    journal.stream.lose("us", [gap], at=10.0)
    lost = {("us", name): Blindness(Cause.GAP, name, "lost") for name in both}
    assert journal.stream.lost(both) == {("eu", ORDERS): cut, **lost}
    assert journal.stream.blind() == {}
    journal.stream.regained("eu", ORDERS, 10.0)
    journal.stream.regained("us", ITEMS, 10.5)
    journal.stream.sighted(ORDERS, 12.0)
    assert opened().stream.lost(both) == {("eu", ORDERS): cut, ("us", ORDERS): lost["us", ORDERS]}
    journal.stream.regained("eu", ORDERS, 11.0)
    journal.stream.lose("us", [gap], at=11.0)
    assert journal.stream.lost([ITEMS]) == {("us", ITEMS): lost["us", ITEMS]}
    journal.stream.regained("us", ITEMS, 12.0)
    journal.stream.regained("us", ORDERS, 12.0)
    assert journal.stream.lost(both) == {}
    assert opened("other").stream.lost(both) == {}


# --- scan


def test_the_scan_keeps_the_latest_of_each_chunk(journal: Journal) -> None:
    assert journal.scans.oldest([ORDERS, ITEMS]) == {ORDERS: None, ITEMS: None}
    journal.scans.replace(ORDERS, [a_chunk(n, at=float(n)) for n in (1, 2, 3)] + [a_chunk(1, follower="us")])
    fresh = a_chunk(1, at=9.0, verdict=Verdict.DRIFT, drifted=2)
    journal.scans.replace(ORDERS, [fresh])
    assert journal.scans.chunks(ORDERS) == [fresh, a_chunk(1, follower="us"), a_chunk(2, at=2.0), a_chunk(3, at=3.0)]
    assert journal.scans.oldest([ORDERS, ITEMS]) == {ORDERS: 2.0, ITEMS: None}
    many = {TableName("public", f"t{n}"): None for n in range(1_200)}
    abroad = {TableName("other", ORDERS.name): None, TableName(ORDERS.schema, "orders_"): None}
    assert journal.scans.oldest([ORDERS, *many, *abroad]) == {ORDERS: 2.0, **many, **abroad}
    journal.scans.replace(ORDERS, [a_chunk(2, at=10.0, last=True)])
    assert [(r.chunk.index, r.follower) for r in journal.scans.chunks(ORDERS)] == [(1, "eu"), (1, "us"), (2, "eu")]
    with pytest.raises(Unsound, match=r"a chunk of public\.orders was recorded as one of sales"):
        journal.scans.replace(ITEMS, [a_chunk(0)])
