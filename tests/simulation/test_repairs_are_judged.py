"""Every applied repair gets its verdict: whatever is killed between the write and the verdict, and in any company."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from simulated.daemon import Daemon
from simulated.faults import Crash, Faults
from simulated.history import ITEMS, History

from reconciler.repair import State
from reconciler.repairing import Sighting, verify_applied
from trueup.services.repair import RepairService

KEYS = [(3,), (4,)]


class KilledOnce(Faults):
    """The process is killed once, at the first call of this kind after a repair was written."""

    place = ""
    armed = False

    def strike(self, where: str, *, only_crash: bool = False) -> None:
        self.armed = self.armed or where == "after MemoryRepairSink.apply"
        if self.armed and where == self.place:
            self.place = ""
            raise Crash(where)


def mending(path: Path) -> tuple[Daemon, RepairService]:
    """Two rows of the subscriber are wrong, in a daemon that repairs by itself."""
    history = History(Random(7))  # of a subscriber alone
    history.quiet()
    daemon = Daemon(history, Random(5), path, scans=True, streams=True, repairs=True)
    daemon.follow_from_now()
    name = "subscriber"
    for key in KEYS:
        history.tainted[name].add((ITEMS, key))
        history.followers[name].put(ITEMS, key, {"id": str(key[0]), "v": "rogue"})
    return daemon, daemon._mending[name]


def turns(daemon: Daemon, count: int = 12) -> None:
    for _ in range(count):
        for service in list(daemon.services):
            if service in daemon.services:
                daemon.tick(service)
        daemon.history.clock.at += 1.3


@pytest.mark.parametrize(
    "place",
    [
        "before SqlStream.touch",
        "after SqlStream.touch",
        "between the look and the repair's verdict",
        "before SqlRepairs.listed",
    ],
)
def test_killed_between_the_write_and_the_verdict(place: str, tmp_path: Path) -> None:
    daemon, _ = mending(tmp_path / "journal.db")
    assert daemon.journal is not None
    daemon.faults = faults = KilledOnce(daemon.random, daemon.history.clock)
    faults.place = place
    daemon.start()
    turns(daemon, 60)
    assert daemon.crashes == 1, "the place was never reached"
    assert {record.state for record in daemon.journal.repairs.listed()} == {State.VERIFIED}
    assert sorted(record.repair.key for record in daemon.journal.repairs.listed()) == KEYS


def test_a_look_that_began_before_the_write_says_nothing_of_that_key_and_all_of_the_others(tmp_path: Path) -> None:
    daemon, service = mending(tmp_path / "journal.db")
    assert daemon.journal is not None
    daemon.services.remove(service)
    turns(daemon, 60)
    assert len(daemon.journal.drifts.open()) == len(KEYS)
    service.tick(daemon.history.clock.now())
    applied = {record.repair.key: record for record in daemon.journal.repairs.listed(State.APPLIED)}
    early, late = sorted(applied)
    since = {early: applied[early].changed_at - 1.0, late: applied[late].changed_at + 1.0}
    sighting = Sighting(service.follower, ITEMS, since, list(applied), ())
    moved = verify_applied(service.casebook(), sighting, actor="look", now=since[late])
    assert [record.repair.key for record in moved] == [late]
