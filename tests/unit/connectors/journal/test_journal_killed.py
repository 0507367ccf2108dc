"""Killed at any instruction, the journal holds everything that was acknowledged, and nothing by halves."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fixtures.journal_samples import ORDERS
from sqlalchemy import text

from connectors.journal.opening import Journal, open_journal
from reconciler.repair import State

ROOT = Path(__file__).parents[4]


def run_until_killed(path: Path, *, steps: int, delay: float) -> int:
    """Run the writer for so many steps and a moment longer, kill it, and return the last step it acknowledged."""
    command = [sys.executable, "-m", "fixtures.journal_writer", str(path)]
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=path.parent) as writer:
        assert writer.stdout is not None
        acknowledged = 0
        for _ in range(steps):
            line = writer.stdout.readline()
            assert line, "the writer ended by itself"
            acknowledged = int(line)
        time.sleep(delay)
        writer.send_signal(signal.SIGKILL)
        for line in writer.stdout:
            acknowledged = int(line)
    return acknowledged


def check(journal: Journal, acknowledged: int) -> None:
    offset = journal.stream.state().offsets["p0"]
    assert acknowledged <= offset <= acknowledged + 1
    known = [one.drift for one in journal.drifts.open(limit=100_000)]
    touched = {one.key[0] for one in journal.stream.touched("eu", limit=100_000)}
    settled = {drift.key[0] for drift in known if int(drift.key[0]) > 0}
    assert not touched & settled
    assert touched | settled == set(range(1, offset + 1)), "a change was skipped"
    done = [result.chunk.index for result in journal.runs.results("r", ORDERS)]
    assert done == list(range(len(done)))
    assert len(done) in (offset - 1, offset)
    assert len(done) >= acknowledged
    found = [-int(drift.key[0]) for drift in journal.runs.drifts("r", ORDERS, 100_000)]
    assert found == [index + 1 for index in done]
    assert {-int(drift.key[0]) for drift in known if int(drift.key[0]) < 0} == set(found)
    repairs = journal.repairs.listed(limit=100_000)
    approved = [record.repair.id for record in repairs if record.state is State.APPROVED]
    assert len(repairs) - len(approved) <= 1
    assert len(approved) >= acknowledged
    lines = [f"{line.action}/{line.subject}" for line in journal.repairs.audit(limit=100_000)]
    expected = [f"planned/{record.repair.id}" for record in repairs] + [f"approved/{one}" for one in approved]
    assert sorted(lines) == sorted(expected)
    assert journal.repairs.audit_broken_at() is None
    events = [event.id for event in journal.outbox.pending(100_000)]
    assert sorted(events) == sorted([*expected, *(f"opened/{drift.id}" for drift in known)])
    with journal.store.read() as connection:
        assert connection.execute(text("PRAGMA integrity_check")).scalars().all() == ["ok"]


@pytest.mark.parametrize("seed", range(2))
def test_nothing_acknowledged_is_lost_and_nothing_is_done_by_halves(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    path = tmp_path / "journal.db"
    for _ in range(4):
        acknowledged = run_until_killed(path, steps=chance.randrange(1, 12), delay=chance.random() * 0.03)
        journal = open_journal(path, "shop")
        check(journal, acknowledged)
        journal.close()
