"""No false drift, and none missed, on MariaDB and MySQL under a hot workload whose replica is paused and released."""

from __future__ import annotations

import json
import os
import random
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from fixtures import mysql_workload as load
from fixtures.binlog_followed import Followed
from fixtures.kafka_followed import KafkaFollowed
from fixtures.mysql_servers import PairDatabase
from fixtures.mysql_truth import PLANTED, Verdicts, beside_each_other, busy, plant
from stack.native import KafkaStack

from connectors.mysql.agreement import agree
from connectors.mysql.replica import MysqlReplica, Options
from verifier.bracketing import BracketJudging
from verifier.compare import Comparison, comparison
from verifier.keyrange import ALL
from verifier.look import Role
from verifier.outcome import Again
from verifier.table import Key, TableName

pytestmark = [pytest.mark.mysql, pytest.mark.slow]

OUTPUT = os.environ.get("TRUEUP_TRUTH_OUTPUT")
SECONDS = float(os.environ.get("TRUEUP_TRUTH_SECONDS", "4"))
JUDGED = int(os.environ.get("TRUEUP_TRUTH_KEYS", "2000"))
FULL = JUDGED >= 100_000
BATCH = 2_000 if FULL else 400
IDS: list[Key] = [(n,) for n in (*range(1, load.ROWS + 1), *range(load.QUIET, load.QUIET + load.QUIET_ROWS))]
ACCOUNTS: list[Key] = [(region, n) for region in load.REGIONS for n in range(load.NUMBERS)]


def some(chance: random.Random) -> list[Key]:
    """Keys of `busy`: many at random, the hot ones, and those that were planted."""
    return sorted({*chance.sample(IDS, BATCH), *((n,) for n in range(1, load.HOT)), *PLANTED})


def judged(leader: MysqlReplica, follower: MysqlReplica, compared: Comparison, keys: list[Key]) -> dict[Key, object]:
    judging = BracketJudging(leader, follower, compared, keys)
    while True:
        told = judging.advance(time.monotonic())
        if not isinstance(told, Again):
            return dict(told)
        time.sleep(max(0.0, told.at - time.monotonic()))


@pytest.mark.parametrize("method", ["repeated", "visibility"])
def test_drift_is_exactly_what_differs(pair_database: PairDatabase, method: str) -> None:
    database = pair_database
    database.sql(*load.SCHEMA, *load.load())
    database.pair.caught_up()
    plant(database)
    leader = MysqlReplica("leader", database.leader_url, Options(role=Role.LEADER))
    follower = MysqlReplica("follower", database.replica_url)
    agree([leader, follower])
    names = [TableName(database.name, name) for name in ("busy", "accounts")]
    compared = [comparison(leader.table(name), follower.table(name)) for name in names]
    chance, verdicts = random.Random(1), Verdicts()
    began, idle = time.monotonic(), 1 if leader.dialect == "mysql" else beside_each_other(database)
    parallel = idle
    # The stream shares one core with the judging here; at full size it has to keep up.
    pause = 0.004 if method == "repeated" or FULL else 0.03
    with busy(database, pause) as done, ExitStack() as open_:
        followed = None
        if method == "visibility":
            tables = [one.leader for one in compared]
            followed = open_.enter_context(Followed(database, leader, follower, tables))
        while time.monotonic() - began < SECONDS or verdicts.judged < JUDGED:
            assert time.monotonic() - began < 20 * SECONDS + JUDGED / 50, verdicts
            table = chance.random() < 0.25
            asked = sorted(ACCOUNTS, key=str) if table else some(chance)
            if followed is not None:
                answers = followed.judged(compared[table], asked)
            else:
                answers = judged(leader, follower, compared[table], asked)
            parallel = max(parallel, beside_each_other(database))
            verdicts.take(answers, {} if table else PLANTED)
    database.pair.release()
    database.pair.caught_up()
    assert parallel > idle, "the replica applied one transaction after the other"
    assert method in verdicts.methods
    others = {"snapshot"} if method == "repeated" else set()  # at rest a bracket is proof
    assert set(verdicts.methods) <= {method, *others}
    hold(verdicts, done[0])
    left, right = (side.row_digests(one, ALL).value for side, one in (
        (leader, compared[0].leader), (follower, compared[0].follower),
    ))  # fmt: skip
    assert {key for key in left.keys() | right.keys() if left.get(key) != right.get(key)} == set(PLANTED)
    disturbed = {"pauses": done[2]} | ({"connections ended": followed.cuts} if followed is not None else {})
    record(verdicts, method, leader.dialect, time.monotonic() - began, done[1], disturbed)
    leader.close()
    follower.close()


@pytest.mark.kafka
def test_through_kafka_while_the_connector_is_restarted(
    pair_database: PairDatabase, kafka_stack: KafkaStack, tmp_path: Path
) -> None:
    """The daemon follows; a table that is emptied again and again is among those that it watches. At full size broker
    and worker are killed, too."""
    database = pair_database
    database.sql(*load.SCHEMA, *load.load(), KafkaFollowed.EMPTIED)
    database.pair.caught_up()
    plant(database)
    chance, verdicts = random.Random(1), Verdicts()
    every = 2.0 if FULL else 0.4
    with KafkaFollowed(database, kafka_stack, tmp_path, kills=FULL, every_seconds=every) as followed:
        began, most = time.monotonic(), 2 * SECONDS if FULL else 4 * SECONDS
        with busy(database, 0.004 if FULL else 0.03) as done, followed.disturbed():
            told = 0.0
            while (elapsed := time.monotonic() - began) < most or verdicts.judged < JUDGED or followed.waits:
                assert elapsed < 40 * SECONDS + JUDGED / 500, verdicts
                if OUTPUT and elapsed - told > 30:
                    told = elapsed
                    print(f"{elapsed:5.0f} s: {verdicts.judged:,} of {JUDGED:,} keys judged", file=sys.stderr)
                which = chance.choice(["busy", "busy", "accounts", "emptied"])
                keys = {"busy": some, "accounts": lambda _: ACCOUNTS, "emptied": lambda _: followed.emptied}[which]
                verdicts.take(followed.judged(which, keys(chance)), PLANTED if which == "busy" else {})
        seconds = time.monotonic() - began
        database.pair.release()
        database.pair.caught_up()
        followed.knows_what_was_planted()
    hold(verdicts, done[0])
    assert followed.false == []
    assert "visibility" in verdicts.methods
    assert set(verdicts.methods) <= {"visibility", "snapshot"}, "a bracket judges until the stream vouches for a table"
    assert followed.done["connectors restarted"] >= 1
    assert followed.done["tables emptied"] >= 2
    told = {"pauses": done[2], **followed.done}
    record(verdicts, "visibility, Kafka", database.pair.leader.engine, seconds, done[1], told, followed.settled)


def hold(verdicts: Verdicts, commits: int) -> None:
    """Exactly what was planted is known, over enough keys and beside enough commits."""
    assert verdicts.wrong == []
    assert verdicts.known == set(PLANTED)
    assert verdicts.judged >= JUDGED
    assert commits > 20 * SECONDS


def record(
    verdicts: Verdicts, method: str, engine: str, seconds: float, changes: int, disturbed: dict[str, Any],
    by_daemon: int = 0,
) -> None:  # fmt: skip
    """One JSON line per run, where a full-size run asked for it."""
    told = {
        "method": method, "follower": f"{engine} replica", "seconds": seconds, "changes_per_second": changes / seconds,
        "judged_in_batches": verdicts.judged, "judged_by_daemon": by_daemon, "moving": verdicts.moving, "scanned": 0,
        "planted": len(PLANTED), "found": len(verdicts.known), "missed": [], "false": [], "disturbed": disturbed,
    }  # fmt: skip
    if OUTPUT:
        with Path(OUTPUT).open("a") as out:
            out.write(json.dumps(told) + "\n")
