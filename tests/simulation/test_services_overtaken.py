"""The daemon's services while the leader dies at any call and a standby is promoted, and after the daemon's restart.

Before the restart nothing may be called drifted that the failover did not set apart; after it, once all is quiet, the
journal of before names exactly the rows that differ from the new leader.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random

import pytest
from simulated.daemon import Daemon
from simulated.failover import Failover
from simulated.laws import check, settle
from simulated.seeding import each

from reconciler.repair import State

PARTS = 4


@pytest.mark.parametrize("part", range(PARTS))
def test_services_over_a_failover(few_seeds: range, part: int, folder: Path) -> None:
    each(few_seeds[part::PARTS], folder, simulate, "test_services_overtaken.py")


def simulate(seed: int, path: Path) -> Counter[str]:
    random = Random(seed)
    history = Failover(random)
    daemon = Daemon(history, random, path, scans=True, streams=random.random() < 0.7, repairs=random.random() < 0.3)
    damaging = random.random() < 0.5
    if random.random() < 0.7:
        daemon.faults.temporary, daemon.faults.hang = random.choice((0.0, 0.01, 0.05)), random.choice((0.0, 0.01))
        daemon.faults.crash = random.choice((0.0, 0.005, 0.02))
    daemon.run(random.randint(0, 10))
    history.chance = random.choice((0.003, 0.01, 0.05))
    for _ in range(random.randint(2, 4)):
        daemon.run(random.randint(3, 7))
        for _ in range(random.choice((0, 1, 3)) if damaging else 0):
            history.damage()
    history.put_right(beside=False)
    daemon.start()
    if random.random() < 0.5:
        daemon.run(random.randint(1, 10))
    settle(daemon)
    check(daemon)
    assert daemon.journal is not None
    mended = len(daemon.journal.repairs.listed(State.VERIFIED))
    daemon.journal.close()
    return Counter(daemon.judged, seeds=1, crashes=daemon.crashes, refused=daemon.refused, mended=mended)
