"""Whole services over random histories: follow, scan, verify and the journal, with faults before and after each call.

Every seed is a history of its own: with or without a stream, a scan, damage, crashes, failing calls. What must hold in
all of them: nothing that was not damaged is ever called drifted, every verdict of drift is proven, no offset is
acknowledged that the journal does not hold; and once all is quiet, the journal names exactly the rows that differ.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random

import pytest
from simulated.daemon import Daemon
from simulated.history import History
from simulated.laws import check, settle
from simulated.seeding import each

from reconciler.repair import State

PARTS = 8  # so that several processes can share the work


@pytest.mark.parametrize("part", range(PARTS))
def test_services_find_exactly_what_differs(seeds: range, part: int, folder: Path) -> None:
    each(seeds[part::PARTS], folder, simulate, "test_services.py")


def simulate(seed: int, path: Path) -> Counter[str]:
    random = Random(seed)
    history = History(random, identified=seed % 4 == 3)
    streams, scans = random.choice(((True, True), (True, False), (False, True)))
    repairs = random.random() < 0.3
    daemon = Daemon(history, random, path, scans=scans, streams=streams, repairs=repairs)
    if not scans:
        daemon.follow_from_now()  # without a scan only the stream tells, and only of what came after its beginning
    damaging = random.random() < 0.6
    if random.random() < 0.7:
        daemon.faults.temporary, daemon.faults.hang = random.choice((0.0, 0.01, 0.05)), random.choice((0.0, 0.01))
        daemon.faults.crash = random.choice((0.0, 0.005, 0.02))
    for _ in range(random.randint(2, 4)):
        daemon.run(random.randint(3, 7))
        for _ in range(random.choice((0, 1, 3)) if damaging else 0):
            history.damage(unseen=scans)
        if scans and streams and random.random() < 0.05:
            daemon.lose_stream()
    settle(daemon)
    check(daemon)
    assert daemon.journal is not None
    mended = len(daemon.journal.repairs.listed(State.VERIFIED))
    daemon.journal.close()
    return Counter(daemon.judged, seeds=1, crashes=daemon.crashes, mended=mended)
