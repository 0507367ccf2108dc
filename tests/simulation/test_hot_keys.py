"""Keys that are in flight at every look: nothing faithful is called drifted, and what is planted is found meanwhile."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random

from simulated.daemon import Daemon
from simulated.history import ITEMS, History
from simulated.laws import check, settle
from simulated.seeding import each

from verifier.change import Change
from verifier.drift import Drift
from verifier.table import Key

HOT: Key = (0,)
SEEDS = 24


def test_hot_keys_that_go_wrong_are_found_while_they_are_hot(folder: Path) -> None:
    totals = Counter[str]()

    def simulate(seed: int, path: Path) -> Counter[str]:
        found = _simulate(seed, path)
        totals.update(found)
        return found

    each(range(SEEDS), folder, simulate, "test_hot_keys.py")
    assert totals["found by its images"] >= SEEDS // 8  # without them: none


def _simulate(seed: int, path: Path) -> Counter[str]:
    random = Random(seed)
    history = History(random, keys=2)
    daemon = Daemon(history, random, path, scans=False, streams=True, repairs=False)
    daemon.follow_from_now()
    daemon.run(10)
    assert _open(daemon) == []
    name = random.choice(list(history.followers))
    history.tainted[name].add((ITEMS, HOT))
    wrong = _Wrong(HOT)
    history.followers[name].damages.append(wrong)
    found: list[Drift] = []
    for _ in range(120):
        daemon.run(4)
        found = _open(daemon)
        if found:
            break
    history.followers[name].damages.clear()
    assert {(drift.follower, drift.key) for drift in found} <= {(name, HOT)}
    by_images = any("state" in drift.evidence.positions for drift in found)
    settle(daemon)
    check(daemon)
    assert daemon.journal is not None
    daemon.journal.close()
    return Counter(daemon.judged, **{"found while it was hot": bool(found), "found by its images": by_images})


def _open(daemon: Daemon) -> list[Drift]:
    return [drift for (_, table, _), drift in daemon.found().items() if table == ITEMS]


class _Wrong:
    """Every change of one key arrives altered."""

    def __init__(self, key: Key) -> None:
        self.key = key

    def __call__(self, change: Change) -> Change | None:
        if change.table != ITEMS or change.key != self.key or change.after is None:
            return change
        return Change(change.table, change.key, change.operation, {**change.after, "v": "altered"})
