"""A daemon that lost its lease writes nothing: each step of a group checks the token in its own transaction."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fixtures.journal_samples import ORDERS, Open, a_chunk, a_drift, a_repair, an_event, touch

from connectors.journal.opening import Journal
from reconciler.repair import State
from verifier.change import Blindness, Cause
from verifier.drift import Verdict
from verifier.errors import Permanent
from verifier.journal import Run, StreamState
from verifier.position import Lsn

WRITES: dict[str, Callable[[Journal], object]] = {
    "offsets": lambda journal: journal.stream.advance(
        StreamState({"p0": 9}, Lsn(9)), {}, [], followers=["eu"], at=9.0, events=[an_event("letter", "dead-letters")]
    ),
    "touched keys": lambda journal: touch(journal, [9], offset=9, at=9.0),
    "suspects": lambda journal: journal.stream.touch({(ORDERS, (9,)): Lsn(9)}, followers=["eu"], at=9.0),
    "verdicts": lambda journal: journal.stream.settle(
        "eu", journal.stream.touched("eu", limit=9), [a_drift((1,))], at=9.0
    ),
    "giving up": lambda journal: journal.stream.forget(
        "eu", journal.stream.touched("eu", limit=9), Blindness(Cause.GAP, ORDERS), at=9.0
    ),
    "a follower's gap": lambda journal: journal.stream.lose("eu", [Blindness(Cause.GAP, ORDERS)], at=9.0),
    "its end": lambda journal: journal.stream.regained("eu", ORDERS, 9.0),
    "sight": lambda journal: journal.stream.sighted(ORDERS, 9.0),
    "drift": lambda journal: journal.drifts.record([a_drift((9,))]),
    "drift that ended": lambda journal: journal.drifts.clear("eu", ORDERS, [(1,)], 99.0),
    "a scan": lambda journal: journal.scans.replace(ORDERS, [a_chunk(0)]),
    "a run": lambda journal: journal.runs.begin(Run("r", "scan", 9.0, "s")),
    "a checkpoint": lambda journal: journal.runs.checkpoint("known", [a_chunk(0)], [a_drift((9,))]),
    "the end of a run": lambda journal: journal.runs.finish("known", at=9.0, verdict=Verdict.MATCH, report=""),
    "a plan": lambda journal: journal.repairs.record([a_repair((9,))], actor="a", at=9.0),
    "a repair's first step": lambda journal: journal.repairs.move(
        a_repair().id, State.APPLYING, expected=State.APPROVED, actor="a", at=9.0
    ),
    "an event": lambda journal: journal.outbox.add([an_event("more")]),
    "a delivery": lambda journal: journal.outbox.sent(["first"], 9.0),
    "pruning": lambda journal: journal.prune(99.0),
}


def test_no_step_of_a_daemon_without_its_lease_happens(journal: Journal, opened: Open) -> None:
    token = journal.leases.acquire("daemon", "a", 10.0, 100.0)
    assert token is not None
    journal.fence("daemon", token)
    touch(journal, [1], offset=1, at=1.0)
    journal.drifts.record([a_drift((1,))])
    journal.runs.begin(Run("known", "scan", 1.0, "s"))
    journal.repairs.record([a_repair()], actor="a", at=1.0, events=[an_event("first")])
    journal.repairs.move(a_repair().id, State.APPROVED, expected=State.PLANNED, actor="a", at=1.0)
    before = everything(journal)
    opened().leases.acquire("daemon", "b", 10.0, 120.0)
    for name, write in WRITES.items():
        with pytest.raises(Permanent, match="the lease 'daemon' of group 'shop' was lost to b: nothing was written"):
            write(journal)
        assert everything(journal) == before, name


def everything(journal: Journal) -> list[object]:
    return [
        journal.stream.state(), journal.stream.touched("eu", limit=9), journal.stream.blind(),
        journal.stream.lost([ORDERS]), journal.drifts.open(),
        journal.runs.recent(9), journal.runs.results("known", ORDERS), journal.repairs.listed(),
        journal.repairs.audit(), journal.outbox.pending(9), journal.scans.chunks(ORDERS),
    ]  # fmt: skip
