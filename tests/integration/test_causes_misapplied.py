"""Wrong applications planted on real followers while the stream runs: each is a drift with its true cause."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

import pytest
from fixtures.databases import TrioDatabase
from fixtures.misapplied_live import Told, WrongRun

OUTPUT = os.environ.get("TRUEUP_WRONG_OUTPUT")
EACH = int(os.environ.get("TRUEUP_WRONG_EACH", "2"))
RATE = float(os.environ.get("TRUEUP_WRONG_RATE", "200"))


@pytest.mark.postgres
def test_on_a_subscriber_every_cause_is_the_true_one(trio_database: TrioDatabase, tmp_path: Path) -> None:
    hold(WrongRun(trio_database, tmp_path, EACH, RATE).run())


def hold(told: Told) -> None:
    if OUTPUT:
        with Path(OUTPUT).open("a") as out:
            out.write(json.dumps(asdict(told)) + "\n")
    assert told.trouble == []
    assert told.missed == []
    assert told.false == []
    assert told.wrong == []
    assert told.undecided == []
