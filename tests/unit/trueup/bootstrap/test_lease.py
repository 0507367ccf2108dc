"""Who holds a group: a dead process of this machine is known, of another nobody knows."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from connectors.journal.opening import open_journal
from trueup.bootstrap import lease
from trueup.clock import SystemClock
from verifier.errors import Permanent

TELL = "import sys; from trueup.bootstrap import lease; print(lease.owner('x'), flush=True); sys.stdin.read()"


def test_this_process_lives_and_is_shown_without_its_mark() -> None:
    mine = lease.owner("eu")
    assert lease.alive(mine) is True
    assert lease.shown(mine) == mine.partition(" (")[0]
    assert lease.shown(mine).startswith("eu on ")


def test_a_process_that_ended_or_whose_number_was_given_again_is_dead() -> None:
    with subprocess.Popen([sys.executable, "-c", TELL], stdin=-1, stdout=-1, text=True) as other:
        assert other.stdout is not None
        owner = other.stdout.readline().strip()
        assert lease.alive(owner) is True
        other.kill()
        deadline = time.monotonic() + 60
        while lease.alive(owner) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert lease.alive(owner) is False, "not even buried yet"
    assert lease.alive(owner) is False
    mine = lease.owner("x")
    assert lease.alive(mine.replace(" (", " (1")) is False, "same number, started at another time"


@pytest.mark.parametrize("owner", ["", "eu@host:12", "eu on other, process 1 (77 0123456789ab)", "x (y", "process ("])
def test_of_others_nobody_knows(owner: str) -> None:
    assert lease.alive(owner) is None


def test_a_successor_takes_over_from_the_dead_at_once_and_is_refused_by_the_living(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "journal.db", "shop")
    first = lease.take(journal, "a", SystemClock())
    journal.leases.release(lease.LEASE, first)
    with subprocess.Popen([sys.executable, "-c", TELL], stdin=-1, stdout=-1, text=True) as other:
        assert other.stdout is not None
        owner = other.stdout.readline().strip()
        token = journal.leases.acquire(lease.LEASE, owner, 60.0, time.time())
        assert token == first + 1
        began = time.monotonic()
        with pytest.raises(Permanent, match=rf"another daemon \(x on .*, process {other.pid}\) runs on this journal"):
            lease.take(journal, "b", SystemClock())
        assert time.monotonic() - began < 20, "a living daemon of this machine is known at once"
        assert lease.holder(journal, time.time()) == lease.shown(owner)
        other.kill()
    assert lease.holder(journal, time.time()) is None
    began = time.monotonic()
    assert lease.take(journal, "b", SystemClock()) == token + 1
    assert time.monotonic() - began < 40, "not only when the minute of the dead one's lease is over"
    journal.close()


def test_it_runs_out_by_the_time_that_others_go_by(tmp_path: Path) -> None:
    """A daemon's own clock stays ahead where that of its machine was set back."""
    journal = open_journal(tmp_path / "journal.db", "shop")
    service = lease.LeaseService(journal.leases, lease.take(journal, "a", SystemClock()))
    service.tick(time.time() + 86_400.0)
    assert journal.leases.holder(lease.LEASE, time.time()) is not None
    assert journal.leases.holder(lease.LEASE, time.time() + 3_600.0) is None
    journal.close()
