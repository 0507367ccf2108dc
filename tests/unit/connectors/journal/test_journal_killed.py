"""Killed at any instruction, the journal holds everything that was acknowledged, and nothing by halves."""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from fixtures.journal_samples import ORDERS
from fixtures.journal_writer import step, told
from sqlalchemy import Engine, event, text

from connectors.journal.opening import Journal, open_journal
from reconciler.repair import State
from verifier.journal import Run

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


def test_nothing_acknowledged_is_lost_and_nothing_is_done_by_halves(tmp_path: Path) -> None:
    """Killed from outside, at any instruction."""
    chance = random.Random(7)
    path = tmp_path / "journal.db"
    for _ in range(3):
        acknowledged = run_until_killed(path, steps=chance.randrange(1, 12), delay=chance.random() * 0.03)
        journal = open_journal(path, "shop")
        check(journal, acknowledged)
        journal.close()


def test_killed_before_each_statement_and_each_commit(tmp_path: Path) -> None:
    """Killed from inside: before the first thing that is said to the database, then before the second, and so on."""
    path = tmp_path / "journal.db"
    acknowledged = 0
    for number in range(1, 50):
        acknowledged = max(acknowledged, die_at(path, number))
        journal = open_journal(path, "shop")
        if acknowledged:
            check(journal, acknowledged)
        journal.close()
    assert acknowledged > 10


def die_at(path: Path, number: int) -> int:
    """Go on working on the journal in a child that kills itself before its `number`th statement or commit; returns the
    last step that it acknowledged, 0 if none."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            journal = open_journal(path, "shop", announce_drift=told)
            journal.runs.begin(Run("r", "audit", 1.0, "s"))
            countdown = itertools.count(1)

            def perhaps(*_: object) -> None:
                if next(countdown) == number:
                    os.kill(os.getpid(), signal.SIGKILL)

            for moment in ("before_cursor_execute", "commit"):
                event.listen(Engine, moment, perhaps)
            for n in itertools.count(max(1, journal.stream.state().offsets.get("p0", 0))):
                step(journal, n)
                os.write(writing, f"{n}\n".encode())
        finally:
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading) as acknowledged:
        steps = [int(line) for line in acknowledged]
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "the child ended by itself"
    return max(steps, default=0)
