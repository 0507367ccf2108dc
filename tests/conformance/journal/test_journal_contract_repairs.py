"""The journal's contract, second part: repairs, the audit chain, the outbox, leases, pruning."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from fixtures.journal_samples import (
    BIG_KEY,
    ITEMS,
    ORDERS,
    Open,
    a_chunk,
    a_drift,
    a_repair,
    an_event,
    touch,
)
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from connectors.journal.opening import Journal
from reconciler.ports import Event
from reconciler.repair import State, outline
from verifier import weight
from verifier.drift import Drift, Kind, Verdict
from verifier.errors import Permanent
from verifier.journal import Pause, Run
from verifier.table import Key

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
    assert [r.repair for r in journal.repairs.listed()] == [outline(one), outline(two)], "their rows are not read"
    assert [r.repair for r in journal.repairs.listed(State.PLANNED, State.APPROVED)] == [outline(two)]
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


def test_repairs_are_listed_by_follower_table_and_place_and_counted(journal: Journal, opened: Open) -> None:
    mine = [a_repair((n,)) for n in range(3)]
    abroad = replace(a_repair((3,)), follower="us")
    other = replace(a_repair((4,)), table=ITEMS)
    everything = [*mine, abroad, other]
    journal.repairs.record(everything, actor="ann", at=20.0)
    for one in everything[1:4]:
        assert journal.repairs.move(one.id, State.APPROVED, expected=State.PLANNED, actor="ann", at=21.0)

    def listed(*states: State, **more: Any) -> list[Key]:
        return [record.repair.key for record in journal.repairs.listed(*states, **more)]

    assert listed(follower="eu") == [(0,), (1,), (2,), (4,)]
    assert listed(follower="eu", tables_in=[ITEMS, ORDERS]) == [(0,), (1,), (2,), (4,)]
    assert listed(State.PLANNED, tables_out=[ITEMS]) == [(0,)]
    assert listed(tables_in=[ITEMS]) == [(4,)]
    assert listed(tables_in=[]) == []
    assert listed(State.APPROVED, after=mine[1].id, limit=1) == [(2,)]
    assert listed(after=other.id) == []
    assert journal.repairs.counts() == {State.PLANNED: 2, State.APPROVED: 3}
    assert opened("other").repairs.counts() == {}
    ids = [other.drift_id, mine[0].drift_id, abroad.drift_id, "unknown"]
    assert [one.repair for one in journal.repairs.of_drifts(ids)] == [outline(mine[0]), outline(abroad), outline(other)]
    assert [one.repair for one in journal.repairs.of_drifts(ids, State.APPROVED)] == [outline(abroad)]
    assert opened("other").repairs.of_drifts(ids) == []


def test_repairs_whose_drift_is_open_no_more(journal: Journal) -> None:
    """Cleared, or cleared and forgotten."""
    made = [a_repair((n,)) for n in range(4)]
    outlined = [outline(one) for one in made]
    journal.repairs.record([*made, replace(a_repair((9,)), follower="us")], actor="ann", at=20.0)
    journal.drifts.record([a_drift((n,)) for n in range(3)])
    journal.drifts.clear("eu", ORDERS, [(1,), (2,)], 30.0)
    journal.repairs.move(made[2].id, State.APPROVED, expected=State.PLANNED, actor="ann", at=31.0)
    settled = journal.repairs.settled
    assert [one.repair for one in settled("eu", State.PLANNED, State.APPROVED)] == outlined[1:]
    assert [one.repair for one in settled("eu", State.PLANNED, limit=1)] == outlined[1:2]
    journal.drifts.record([a_drift((1,), at=40.0)])
    assert [one.repair for one in settled("eu", State.PLANNED)] == outlined[3:]


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


def test_what_is_large_is_read_a_few_at_a_time(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weight, "ROWS_BYTES", 1_000)
    sizes = (400, 400, 400, 5_000, 10)
    events = [Event(f"e{n}", "repairs", "k", {"data": "x" * size}) for n, size in enumerate(sizes)]
    journal.outbox.add(events)
    read: list[list[str]] = []
    while waiting := journal.outbox.pending(9):
        read.append([one.id for one in waiting])
        journal.outbox.sent(read[-1], 5.0)
    assert read == [["e0", "e1"], ["e2"], ["e3"], ["e4"]]
    made = [replace(a_repair((n,)), wanted={"v": "x" * size}) for n, size in enumerate(sizes)]
    journal.repairs.record(made, actor="ann", at=20.0)
    assert journal.repairs.audit_broken_at() is None


def test_topics_of_which_nobody_is_told_are_not_kept(journal: Journal, opened: Open) -> None:
    drift, repair, letter = (an_event(topic, topic) for topic in ("drift", "repairs", "dead-letters"))
    journal.outbox.add([drift, letter])
    opened("another").outbox.add([drift])
    journal.outbox.leave_out(["drift", "repairs"], 5.0)
    assert journal.outbox.pending(9) == [letter], "what waited counts as sent"
    journal.outbox.add([repair, an_event("later", "drift"), an_event("too", "dead-letters")])
    assert [one.id for one in journal.outbox.pending(9)] == ["dead-letters", "too"]
    assert opened("another").outbox.pending(9) == [drift], "another group's are"
    assert journal.prune(before=6.0) == 1


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


def test_a_pause_is_told_to_everybody_until_it_is_lifted(journal: Journal, opened: Open) -> None:
    mine, theirs = journal.pauses, opened().pauses
    assert mine.paused() == []
    assert theirs.pause(ORDERS, at=5.0, actor="ann")
    assert theirs.pause(None, at=7.0, actor="ann")
    assert not mine.pause(ORDERS, at=9.0, actor="bob"), "the older pause stands"
    of_group, of_table = Pause(None, 7.0, "ann"), Pause(ORDERS, 5.0, "ann")
    assert mine.paused() == [of_group, of_table]
    assert opened("other").pauses.paused() == []
    assert mine.resume(ORDERS) == [of_table]
    assert theirs.paused() == [of_group]
    assert mine.resume(ORDERS) == []
    assert theirs.pause(ORDERS, at=11.0, actor="eve")
    assert mine.resume(None) == [of_group, Pause(ORDERS, 11.0, "eve")]
    assert theirs.paused() == []


def test_a_pause_needs_no_lease(journal: Journal, opened: Open) -> None:
    token = journal.leases.acquire("daemon", "a", 10.0, 100.0)
    assert token is not None
    journal.fence("daemon", token)
    opened().leases.acquire("daemon", "b", 10.0, 120.0)
    assert journal.pauses.pause(None, at=121.0, actor="ann")


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
