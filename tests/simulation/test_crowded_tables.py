"""Tables that are crowded all the time, over random histories: chunks are marked in place of keys, and no change that
comes while a chunk is read is lost."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random

from simulated.daemon import Daemon
from simulated.history import History
from simulated.laws import check, settle
from simulated.seeding import each

SEEDS = 16


def test_crowded_tables_find_exactly_what_differs(folder: Path) -> None:
    totals = Counter[str]()

    def simulate(seed: int, path: Path) -> Counter[str]:
        found = _simulate(seed, path)
        totals.update(found)
        return found

    each(range(SEEDS), folder, simulate, "test_crowded_tables.py")
    assert totals["dirty"] > SEEDS
    assert totals["drift"] > 0


def _simulate(seed: int, path: Path) -> Counter[str]:
    """No pass of the scan comes to the help of what the chunks miss: after the first one the tables count as seen for
    longer than the history lasts."""
    random = Random(seed)
    history = History(random)
    daemon = Daemon(history, random, path, scans=True, streams=True, repairs=False, crowd=random.choice((-1, -1, 0)))
    for service in daemon.services:
        if service.name == "scan":
            service.pace = type(service.pace)(period_seconds=1e6, rest=0.0)  # type: ignore[attr-defined]
    daemon.follow_from_now()
    settle(daemon)
    history.writing, history._happening = True, False
    dirty = 0
    for _ in range(random.randint(3, 6)):
        daemon.run(random.randint(3, 9))
        assert daemon.journal is not None
        dirty += len(daemon.journal.dirty.dirty(100))
        for _ in range(random.choice((0, 1, 2))):
            history.damage(unseen=False)
    history.quiet()
    _heard(daemon)
    settle(daemon)
    check(daemon)
    daemon.journal.close()
    return Counter(daemon.judged, seeds=1, dirty=dirty)


def _heard(daemon: Daemon) -> None:
    """The stream, which may hold back for a while, has delivered everything."""
    (follow,) = (service for service in daemon.services if service.name == "follow")
    for _ in range(100):
        assert daemon.journal is not None
        read = daemon.journal.stream.state().read_through
        if read is not None and read.covers(daemon.history.leader.tick()):
            return
        daemon.tick(follow)
        daemon.history.clock.at += 1.0
    raise AssertionError("the stream holds back for ever")
