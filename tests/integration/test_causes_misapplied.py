"""Wrong applications planted on real followers while the stream runs: each is a drift with its true cause."""

from __future__ import annotations

import json
import os
from dataclasses import fields
from pathlib import Path

import pytest
from fixtures.databases import TrioDatabase
from fixtures.misapplied_live import Told, WrongMariaDb, WrongReplica, WrongSubscriber
from fixtures.mysql_servers import PairDatabase, fresh_database
from stack.mysql_servers import MysqlPair

OUTPUT = os.environ.get("TRUEUP_WRONG_OUTPUT")
EACH = int(os.environ.get("TRUEUP_WRONG_EACH", "1"))
RATE = float(os.environ.get("TRUEUP_WRONG_RATE", "200"))


@pytest.mark.postgres
def test_on_a_subscriber_every_cause_is_the_true_one(trio_database: TrioDatabase, tmp_path: Path) -> None:
    run = WrongSubscriber(tmp_path, EACH, RATE, site=trio_database)
    hold(run.run())
    assert run.beside is not None
    hold(run.beside, known=False)


@pytest.mark.mysql
@pytest.mark.parametrize("kind", [WrongReplica, WrongMariaDb])
def test_on_a_replica_every_cause_is_the_true_one(
    request: pytest.FixtureRequest, kind: type[WrongReplica], tmp_path: Path
) -> None:
    pair: MysqlPair = request.getfixturevalue("mariadb_pair" if kind is WrongMariaDb else "mysql_pair")
    database = PairDatabase(pair, fresh_database())
    try:
        hold(kind(tmp_path, EACH, RATE, site=database).run())
    finally:
        database.drop()


def hold(told: Told, *, known: bool = True) -> None:
    """`known`: the follower's own log tells every cause; else some are honestly `unknown`, and none is a wrong one."""
    if OUTPUT:
        with Path(OUTPUT).open("a") as out:
            out.write(json.dumps({one.name: getattr(told, one.name) for one in fields(told)}) + "\n")
    assert told.trouble == []
    assert told.missed == []
    assert told.false == []
    assert told.wrong == []
    assert told.undecided == [] or not known
    assert len(told.undecided) < told.planted.total() - told.planted["right"]
