"""The walk waits for nothing else: suspects settle, and the journal is told, while the next chunk is read."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from fixtures.memory_audit import filled, tools
from worlds.memory import MemoryWorld

from connectors.journal.opening import open_journal
from trueup.audit.table import TableAudit
from trueup.clock import SystemClock
from trueup.pool import Pool, Postponed
from verifier.compare import comparison
from verifier.digest import Digest
from verifier.drift import Drift
from verifier.errors import Permanent
from verifier.journal import ChunkResult, Run
from verifier.keyrange import KeyRange
from verifier.look import Look, Role
from verifier.policy import ScanPolicy
from verifier.table import Table


class _Gated:
    """A follower whose third chunk is not read before somebody opens the gate."""

    def __init__(self, inner: Any, gate: threading.Event, refusal: Permanent | None = None) -> None:
        self.inner, self.gate, self.refusal = inner, gate, refusal
        self.reading = threading.Event()

    def digest(self, table: Table, within: KeyRange) -> Look[Digest]:
        if within.lower == (20,):
            self.reading.set()
            assert self.gate.wait(20), "suspects were not settled while the chunk was read"
        look: Look[Digest] = self.inner.digest(table, within)
        return look

    def rows(self, *asked: Any) -> Any:
        if self.refusal is not None:
            self.gate.set()
            raise self.refusal
        return self.inner.rows(*asked)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class _Watched:
    """A journal that opens the gate when drift is recorded, or (`at_chunk`) that chunk while the third is read."""

    def __init__(self, inner: Any, gate: threading.Event, reading: threading.Event, at_chunk: int | None) -> None:
        self.inner, self.gate, self.reading, self.at_chunk = inner, gate, reading, at_chunk

    def checkpoint(self, run: str, results: Sequence[ChunkResult], drifts: Sequence[Drift]) -> None:
        self.inner.checkpoint(run, results, drifts)
        if drifts:
            self.gate.set()
        if self.at_chunk in [result.chunk.index for result in results]:
            assert self.reading.wait(20), "the next chunk was not read while the journal was told"
            self.gate.set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


@pytest.fixture
def pool() -> Iterator[Pool]:
    made = Pool(workers=4)
    yield made
    made.close()


def audited(tmp_path: Path, pool: Pool, refusal: Permanent | None = None, *, at_chunk: int | None = None) -> TableAudit:
    """Four chunks of ten rows; a row of the first differs, so the third is read only once that has settled, or
    (`at_chunk`) none does, and it is read once the journal has that chunk."""
    world = MemoryWorld(Role.STANDBY)
    name = filled(world, "t", 40)
    if at_chunk is None:
        del world._target.shelves.tables[name].rows[3,]
    gate = threading.Event()
    follower: Any = _Gated(world.follower, gate, refusal)
    table = world.leader.table(name)
    journal = open_journal(tmp_path / "j.db", "g")
    journal.runs.begin(Run("run", "audit", 0.0, "{}"))
    watched: Any = _Watched(journal.runs, gate, follower.reading, at_chunk)
    made = tools(
        world.leader,
        watched,
        clock=SystemClock(),
        gather=pool.gather,
        scan=ScanPolicy(rows_first=10, rows_min=10, rows_max=10),
        beside=pool.beside,
    )
    audit = TableAudit(made, table, {"f": (follower, comparison(table, table))})
    try:
        audit.run()
    finally:
        journal.close()
    return audit


def test_drift_is_recorded_while_a_later_chunk_is_read(tmp_path: Path, pool: Pool) -> None:
    tally = audited(tmp_path, pool).tallies["f"]
    assert (tally.total, tally.drift, tally.match) == (4, 1, 3)


def test_the_journal_is_told_of_a_chunk_while_the_next_is_read(tmp_path: Path, pool: Pool) -> None:
    tally = audited(tmp_path, pool, at_chunk=1).tallies["f"]
    assert (tally.total, tally.match) == (4, 4)


def test_a_follower_given_up_while_its_chunk_is_read(tmp_path: Path, pool: Pool) -> None:
    audit = audited(tmp_path, pool, Permanent("no right to read rows"))
    assert audit.problems == {"f": "no right to read rows"}
    assert (audit.tallies["f"].total, audit.tallies["f"].unverified) == (2, 1)


def test_a_call_beside(pool: Pool) -> None:
    gate = threading.Event()
    running = pool.beside(lambda: gate.wait(20))
    assert not running.done(0.001)
    gate.set()
    assert running.done(None)
    assert running.result()
    failing = pool.beside(lambda: int("x"))
    assert failing.done(20)
    with pytest.raises(ValueError, match="invalid literal"):
        failing.result()


def test_a_postponed_call_runs_when_its_result_is_wanted() -> None:
    calls: list[int] = []
    postponed = Postponed(lambda: calls.append(1))
    assert postponed.done(None)
    assert calls == []
    postponed.result()
    assert calls == [1]
