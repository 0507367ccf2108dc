"""Wrong applications planted on real followers while the stream runs: each is a drift with its true cause."""

from __future__ import annotations

import json
import os
from dataclasses import fields
from pathlib import Path

import pytest
from fixtures.databases import TrioDatabase
from fixtures.misapplied_live import Told, WrongReplica, WrongSubscriber
from fixtures.mysql_servers import PairDatabase, fresh_database
from stack.mysql_servers import MysqlPair

OUTPUT = os.environ.get("TRUEUP_WRONG_OUTPUT")
EACH = int(os.environ.get("TRUEUP_WRONG_EACH", "1"))
RATE = float(os.environ.get("TRUEUP_WRONG_RATE", "200"))


@pytest.mark.postgres
def test_on_a_subscriber_every_cause_is_the_true_one(trio_database: TrioDatabase, tmp_path: Path) -> None:
    hold(WrongSubscriber(tmp_path, EACH, RATE, site=trio_database).run())


@pytest.mark.mysql
def test_on_a_replica_every_cause_is_the_true_one(mysql_pair: MysqlPair, tmp_path: Path) -> None:
    database = PairDatabase(mysql_pair, fresh_database())
    try:
        hold(WrongReplica(tmp_path, EACH, RATE, site=database).run())
    finally:
        database.drop()


def hold(told: Told) -> None:
    if OUTPUT:
        with Path(OUTPUT).open("a") as out:
            out.write(json.dumps({one.name: getattr(told, one.name) for one in fields(told)}) + "\n")
    assert told.trouble == []
    assert told.missed == []
    assert told.false == []
    assert told.wrong == []
    assert told.undecided == []
