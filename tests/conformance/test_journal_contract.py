"""One contract for the journal, run on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from connectors.journal.opening import Journal, open_journal
from connectors.journal.schema import VERSION_TABLE
from connectors.journal.tables import metadata
from reconciler.ports import Event, Outbox, RepairJournal
from reconciler.repair import Action, Repair, State
from verifier.change import Blindness, Cause
from verifier.digest import Digest
from verifier.drift import Certainty, Difference, Drift, Evidence, Kind, Method, Verdict
from verifier.errors import Misconfigured, Permanent, Unsound
from verifier.identity import drift_id, stable_id
from verifier.journal import ChunkResult, DriftJournal, Run, RunJournal, ScanJournal, StreamJournal, StreamState
from verifier.keyrange import ALL, Chunk, KeyRange
from verifier.position import Lsn, Tick
from verifier.table import Key, TableName

ORDERS = TableName("public", "orders")
ITEMS = TableName("sales; drop", 'we"ird.näme')
BIG_KEY: Key = (2**63 - 1, "ключ'\"\\\x01\u2028" + "k" * 4000)
PROVEN = Evidence(Certainty.PROVEN, Method.VISIBILITY, {"leader": "lsn:0/10", "low": "lsn:0/8"})
PROBABLE = Evidence(Certainty.PROBABLE, Method.REPEATED, {})

Open = Callable[..., Journal]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> str | Path:
    """Where the journal is: a file, or the URL of an empty PostgreSQL database."""
    if request.param == "sqlite":
        return tmp_path / "journal.db"
    url: str = request.getfixturevalue("database").url
    return url


@pytest.fixture
def opened(target: str | Path) -> Iterator[Open]:
    """Open the journal (again); all are closed at the end."""
    journals: list[Journal] = []

    def open_it(group: str = "shop", **more: object) -> Journal:
        journals.append(open_journal(target, group, **more))  # type: ignore[arg-type]
        return journals[-1]

    yield open_it
    for journal in journals:
        journal.close()


@pytest.fixture
def journal(opened: Open) -> Journal:
    return opened()


def a_drift(
    key: Key = (1,), *, at: float = 10.0, follower: str = "eu", table: TableName = ORDERS, **more: object
) -> Drift:
    columns = {"amount": Difference("1.00", None), "note": Difference("a\x00b", "ü")}
    drift = Drift(
        drift_id("shop", follower, table, key), "shop", follower, table, key, Kind.MISMATCHED, columns, PROVEN, at
    )
    return replace(drift, **more)  # type: ignore[arg-type]


def a_chunk(index: int, *, follower: str = "eu", at: float = 5.0, last: bool = False, **more: object) -> ChunkResult:
    lower = None if index == 0 else (index * 10, "x")
    bounds = KeyRange(lower, None if last else ((index + 1) * 10, "x"))
    chunk = Chunk(ORDERS, bounds, index)
    whole = Digest(10, 2**64 - 1)
    return replace(ChunkResult(chunk, follower, Verdict.MATCH, whole, whole, at=at), **more)  # type: ignore[arg-type]


def a_repair(key: Key = (1,), *, at: float = 20.0) -> Repair:
    drift = a_drift(key)
    return Repair(
        stable_id("repair", drift.id), drift.id, "shop", "eu", ORDERS, key, Kind.MISMATCHED, Action.UPDATE,
        {"id": "1", "amount": None}, {"id": "1", "amount": "2"}, at,
    )  # fmt: skip


def an_event(id_: str, topic: str = "repairs") -> Event:
    return Event(id_, topic, "shop/orders/1", {"id": id_, "data": {"é": [1, None, "x"]}})


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
    with pytest.raises(Misconfigured, match=r"newer trueup \(schema 9999, this program knows up to 0001\): upgrade"):
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


def touch(journal: Journal, keys: list[int], *, offset: int, at: float, blind: tuple[Blindness, ...] = ()) -> None:
    changed = {(ORDERS, (key,)): Lsn(offset * 100 + i) for i, key in enumerate(keys)}
    journal.stream.advance(StreamState({"p0": offset}, Lsn(offset)), changed, blind, followers=["eu", "us"], at=at)


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


# --- scan


def test_the_scan_keeps_the_latest_of_each_chunk(journal: Journal) -> None:
    assert journal.scans.oldest([ORDERS, ITEMS]) == {ORDERS: None, ITEMS: None}
    journal.scans.replace(ORDERS, [a_chunk(n, at=float(n)) for n in (1, 2, 3)] + [a_chunk(1, follower="us")])
    fresh = a_chunk(1, at=9.0, verdict=Verdict.DRIFT, drifted=2)
    journal.scans.replace(ORDERS, [fresh])
    assert journal.scans.chunks(ORDERS) == [fresh, a_chunk(1, follower="us"), a_chunk(2, at=2.0), a_chunk(3, at=3.0)]
    assert journal.scans.oldest([ORDERS, ITEMS]) == {ORDERS: 2.0, ITEMS: None}
    journal.scans.replace(ORDERS, [a_chunk(2, at=10.0, last=True)])
    assert [(r.chunk.index, r.follower) for r in journal.scans.chunks(ORDERS)] == [(1, "eu"), (1, "us"), (2, "eu")]
    with pytest.raises(Unsound, match="a chunk of public.orders was recorded as one of sales"):
        journal.scans.replace(ITEMS, [a_chunk(0)])


# --- repairs, audit, outbox


def test_a_repair_lives_its_states_once(journal: Journal, opened: Open) -> None:
    one, two = a_repair(), a_repair(BIG_KEY)
    assert journal.repairs.record([one, two], actor="ann", at=20.0, events=[an_event("planned")]) == 2
    assert journal.repairs.record([two, one], actor="bob", at=21.0, events=[an_event("planned")]) == 0
    move = journal.repairs.move
    assert move(one.id, State.APPROVED, expected=State.PLANNED, actor="bob", at=22.0, note="fine")
    assert not move(one.id, State.APPROVED, expected=State.PLANNED, actor="eve", at=23.0, events=[an_event("no")])
    assert not move("unknown", State.APPROVED, expected=State.PLANNED, actor="eve", at=23.0)
    assert move(one.id, State.APPLIED, expected=State.APPROVED, actor="trueup", at=24.0, events=[an_event("applied")])
    assert move(one.id, State.VERIFIED, expected=State.APPLIED, actor="trueup", at=25.0)
    found = opened().repairs.find(one.id)
    assert found is not None
    assert (found.repair, found.state, found.changed_at, found.actor) == (one, State.VERIFIED, 25.0, "trueup")
    assert [r.repair for r in journal.repairs.listed()] == [one, two]
    assert [r.repair for r in journal.repairs.listed(State.PLANNED, State.APPROVED)] == [two]
    assert (journal.repairs.applied_since(24.0), journal.repairs.applied_since(24.1)) == (1, 0)
    assert [(e.sequence, e.actor, e.action, e.subject) for e in journal.repairs.audit()] == [
        (1, "ann", "planned", one.id),
        (2, "ann", "planned", two.id),
        (3, "bob", "approved", one.id),
        (4, "trueup", "applied", one.id),
        (5, "trueup", "verified", one.id),
    ]
    assert [e.sequence for e in journal.repairs.audit(limit=2)] == [4, 5]
    assert journal.repairs.audit_broken_at() is None
    assert [e.id for e in journal.outbox.pending(10)] == ["planned", "applied"]


@pytest.mark.parametrize("change", ["UPDATE trueup_audit SET actor = 'x'", "DELETE FROM trueup_audit"])
def test_the_audit_chain_refuses_change(journal: Journal, change: str) -> None:
    journal.repairs.record([a_repair()], actor="ann", at=20.0)
    with (
        pytest.raises(Permanent, match="the audit chain is append-only") as refused,
        journal.store.write() as connection,
    ):
        connection.execute(text(change))
    assert isinstance(refused.value.__cause__, DBAPIError)
    assert len(journal.repairs.audit()) == 1


@pytest.mark.parametrize(
    ("tampering", "broken_at"),
    [
        ("UPDATE trueup_audit SET detail = 'other' WHERE sequence = 3", 3),
        ("UPDATE trueup_audit SET at = at + 1 WHERE sequence = 700", 700),
        ("DELETE FROM trueup_audit WHERE sequence = 4", 4),
        ("DELETE FROM trueup_audit WHERE sequence > 690", 691),
        ("DELETE FROM trueup_audit", 1),
        ("UPDATE trueup_audit SET previous = '' WHERE sequence = 2", 2),
    ],
)
def test_who_removes_the_triggers_is_found_out(journal: Journal, tampering: str, broken_at: int) -> None:
    journal.repairs.record([a_repair((n,)) for n in range(700)], actor="ann", at=20.0)
    assert journal.repairs.audit_broken_at() is None
    with journal.store.write() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("ALTER TABLE trueup_audit DISABLE TRIGGER USER"))
        else:
            for name in ("update", "delete", "replace"):
                connection.execute(text(f"DROP TRIGGER trueup_audit_no_{name}"))
        connection.execute(text(tampering))
    assert journal.repairs.audit_broken_at() == broken_at


def test_the_outbox_sends_in_order_and_once(journal: Journal, opened: Open) -> None:
    events = [an_event(f"e{n}") for n in range(4)]
    journal.outbox.add(events)
    journal.outbox.add([*events, an_event("e4")])
    assert opened().outbox.pending(3) == events[:3]
    journal.outbox.sent(["e0", "e2", "unknown"], 5.0)
    assert [e.id for e in journal.outbox.pending(10)] == ["e1", "e3", "e4"]
    journal.outbox.add(events)
    assert journal.outbox.pending_count() == 3


def test_drift_is_announced_in_the_same_transaction(opened: Open) -> None:
    def announce(drift: Drift, what: str) -> Event | None:
        if drift.key == (666,):
            raise RuntimeError("no event for this")
        return an_event(f"{what}-{drift.key[0]}-{drift.found_at:g}", "drift")

    journal = opened(announce_drift=announce)
    journal.runs.begin(Run("r", "audit", 1.0, "s"))
    journal.runs.checkpoint("r", [], [a_drift((1,), at=1.0)])
    journal.drifts.record([a_drift((1,), at=2.0)])
    journal.drifts.record([a_drift((1,), at=3.0, kind=Kind.EXTRA)])
    touch(journal, [1, 2], offset=1, at=4.0)
    journal.stream.settle("eu", journal.stream.touched("eu", limit=9), [a_drift((2,), at=5.0)], at=5.0)
    with pytest.raises(RuntimeError):
        journal.drifts.record([a_drift((4,)), a_drift((666,))])
    assert [e.id for e in journal.outbox.pending(10)] == ["opened-1-1", "changed-1-3", "opened-2-5", "cleared-1-3"]
    assert [one.drift.key for one in journal.drifts.open()] == [(2,)]


# --- leases, pruning


def test_one_owner_holds_a_lease(journal: Journal, opened: Open) -> None:
    mine, theirs = journal.leases, opened().leases
    assert mine.acquire("daemon", "a", 10.0, 100.0) == 1
    assert theirs.acquire("daemon", "b", 10.0, 109.0) is None
    holder = theirs.holder("daemon", 109.0)
    assert holder is not None
    assert (holder.owner, holder.token, holder.expires_at) == ("a", 1, 110.0)
    assert mine.renew("daemon", 1, 10.0, 109.0)
    assert theirs.acquire("daemon", "b", 10.0, 115.0) is None
    assert theirs.acquire("daemon", "b", 10.0, 119.0) == 2
    assert not mine.renew("daemon", 1, 10.0, 119.5)
    assert not mine.release("daemon", 1)
    assert theirs.release("daemon", 2)
    assert mine.holder("daemon", 119.6) is None
    assert not theirs.renew("daemon", 2, 10.0, 119.6)
    assert mine.acquire("daemon", "a", 10.0, 119.7) == 3
    assert theirs.acquire("other", "b", 10.0, 119.7) == 1


def test_a_daemon_that_slept_cannot_write_into_its_successors_journal(journal: Journal, opened: Open) -> None:
    token = journal.leases.acquire("daemon", "a", 10.0, 100.0)
    assert token is not None
    journal.fence("daemon", token)
    journal.drifts.record([a_drift()])
    successor = opened()
    successor.leases.acquire("daemon", "b", 10.0, 120.0)
    with pytest.raises(Permanent, match="the lease 'daemon' of group 'shop' was lost to b: nothing was written"):
        touch(journal, [1], offset=1, at=1.0)
    assert successor.stream.touched_count("eu") == 0
    assert not journal.leases.renew("daemon", token, 10.0, 121.0)
    assert len(journal.drifts.open()) == 1


def test_pruning_forgets_history_only(journal: Journal) -> None:
    journal.runs.begin(Run("old", "audit", 1.0, "s"))
    journal.runs.begin(Run("running", "audit", 1.0, "s"))
    journal.runs.checkpoint("old", [a_chunk(0)], [a_drift((1,)), a_drift((2,))])
    journal.runs.finish_table("old", ORDERS, "{}")
    journal.runs.finish("old", at=5.0, verdict=Verdict.DRIFT, report="")
    journal.drifts.clear("eu", ORDERS, [(1,)], 20.0)
    journal.outbox.add([an_event("a"), an_event("b")])
    journal.outbox.sent(["a"], 20.0)
    assert journal.prune(5.0) == 0
    assert journal.prune(21.0) == 3
    assert [run.id for run in journal.runs.recent(9)] == ["running"]
    assert (journal.runs.results("old", ORDERS), journal.runs.drifts("old", ORDERS, 9)) == ([], [])
    assert [one.drift.key for one in journal.drifts.open()] == [(2,)]
    assert [event.id for event in journal.outbox.pending(9)] == ["b"]
