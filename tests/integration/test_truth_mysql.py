"""No false drift, and none missed, on MariaDB and MySQL under a hot workload whose replica is paused and released."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from fixtures import mysql_workload as load
from fixtures.binlog_followed import Followed
from fixtures.mysql_servers import PairDatabase

from connectors.mysql.agreement import agree
from connectors.mysql.replica import MysqlReplica, Options
from verifier.bracketing import BracketJudging
from verifier.compare import Comparison, comparison
from verifier.drift import Kind
from verifier.keyrange import ALL
from verifier.look import Role
from verifier.outcome import Again, Differs, Equal
from verifier.table import Key, TableName

pytestmark = [pytest.mark.mysql, pytest.mark.slow]

OUTPUT = os.environ.get("TRUEUP_TRUTH_OUTPUT")
SECONDS = float(os.environ.get("TRUEUP_TRUTH_SECONDS", "4"))
JUDGED = int(os.environ.get("TRUEUP_TRUTH_KEYS", "2000"))
BATCH = 400 if JUDGED < 100_000 else 2_000
PLANTED: dict[int, Kind] = {
    **{load.QUIET + n: Kind.MISMATCHED for n in range(0, 60, 7)},
    **{load.QUIET + n: Kind.MISSING for n in range(1, 60, 9)},
    **{load.QUIET + load.QUIET_ROWS + n: Kind.EXTRA for n in range(5)},
}


@contextmanager
def busy(database: PairDatabase, pause: float) -> Iterator[list[int]]:
    """The workload in a process of its own, and somebody who pauses and releases the replica; what is yielded holds the
    numbers of commits, of row changes and of pauses in the end."""
    leader = database.pair.leader
    words = [str(leader.port), leader.password, database.name, str(pause)]
    process = subprocess.Popen(
        [sys.executable, "-m", "fixtures.mysql_workload", *words],
        cwd=Path(load.__file__).parents[1], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    stop, pauses = threading.Event(), Counter[str]()

    def disturb() -> None:
        chance = random.Random(7)
        while not stop.wait(chance.uniform(0.5, 1.5)):
            pauses["all"] += 1
            database.pair.hold()
            stop.wait(chance.uniform(0.1, 0.8))
            database.pair.release()

    disturber = threading.Thread(target=disturb)
    disturber.start()
    done: list[int] = []
    try:
        yield done
    finally:
        stop.set()
        disturber.join()
        process.terminate()
        out, err = process.communicate(timeout=30)
        assert not err, err
        done.extend((*map(int, out.split()), pauses["all"]))


def beside_each_other(database: PairDatabase) -> int:
    """A number that grows only where the replica applies transactions beside each other: on MariaDB commits that
    waited for others to commit with them, on MySQL workers that have applied something since the last start."""
    replica = database.pair.replica
    if replica.engine == "mysql":
        return int(replica.sql("select count(*) from mysql.slave_worker_info where master_log_pos > 0")[0][0])
    told = {name.lower(): int(value) for name, value in replica.sql("show global status like 'binlog%commits'")}
    return told["binlog_commits"] - told["binlog_group_commits"]


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
    mismatched, missing, extra = ([k for k, kind in PLANTED.items() if kind is one] for one in (
        Kind.MISMATCHED, Kind.MISSING, Kind.EXTRA,
    ))  # fmt: skip
    database.plant(
        f"update busy set note = 'wrong' where id in ({', '.join(map(str, mismatched))})",
        f"delete from busy where id in ({', '.join(map(str, missing))})",
        *(f"insert into busy values ({key}, 1, 'rogue', 0, 0)" for key in extra),
    )
    leader = MysqlReplica("leader", database.leader_url, Options(role=Role.LEADER))
    follower = MysqlReplica("follower", database.replica_url)
    agree([leader, follower])
    names = [TableName(database.name, name) for name in ("busy", "accounts")]
    compared = [comparison(leader.table(name), follower.table(name)) for name in names]
    ids: list[Key] = [(n,) for n in (*range(1, load.ROWS + 1), *range(load.QUIET, load.QUIET + load.QUIET_ROWS))]
    accounts: list[Key] = [(region, n) for region in load.REGIONS for n in range(load.NUMBERS)]
    chance, outcomes, wrong, methods = random.Random(1), Counter[str](), [], Counter[str]()
    known: set[int] = set()
    began, idle = time.monotonic(), 1 if leader.dialect == "mysql" else beside_each_other(database)
    parallel = idle
    # The stream shares one core with the judging here; at full size it has to keep up.
    pause = 0.004 if method == "repeated" or JUDGED >= 100_000 else 0.03
    with busy(database, pause) as done, ExitStack() as open_:
        followed = None
        if method == "visibility":
            tables = [one.leader for one in compared]
            followed = open_.enter_context(Followed(database, leader, follower, tables))
        while time.monotonic() - began < SECONDS or outcomes["match"] + outcomes["drift"] < JUDGED:
            assert time.monotonic() - began < 20 * SECONDS + JUDGED / 50, outcomes
            table = chance.random() < 0.25
            keys = accounts if table else [
                *chance.sample(ids, BATCH), *((n,) for n in range(1, load.HOT)), *((key,) for key in PLANTED),
            ]  # fmt: skip
            asked = sorted(set(keys), key=str)
            if followed is not None:
                answers = followed.judged(compared[table], asked)
            else:
                answers = judged(leader, follower, compared[table], asked)
            parallel = max(parallel, beside_each_other(database))
            for key, outcome in answers.items():
                expected = PLANTED.get(key[0]) if not table else None  # type: ignore[call-overload]
                if isinstance(outcome, Equal | Differs):
                    outcomes["drift" if isinstance(outcome, Differs) else "match"] += 1
                    found = outcome.kind if isinstance(outcome, Differs) else None
                    if found is not expected:
                        wrong.append(f"{key}: {outcome} instead of {expected}")
                    if isinstance(outcome, Differs):
                        methods[outcome.evidence.method.value] += 1
                        known.add(int(key[0]))
                else:
                    outcomes["moving"] += 1
    database.pair.release()
    database.pair.caught_up()
    assert wrong == []
    assert parallel > idle, "the replica applied one transaction after the other"
    assert method in methods
    assert set(methods) <= ({method, "snapshot"} if method == "repeated" else {method}), "at rest a bracket is proof"
    assert done[0] > 20 * SECONDS
    assert known == set(PLANTED)
    assert outcomes["match"] + outcomes["drift"] >= JUDGED
    left, right = (side.row_digests(one, ALL).value for side, one in (
        (leader, compared[0].leader), (follower, compared[0].follower),
    ))  # fmt: skip
    apart = {key[0] for key in left.keys() | right.keys() if left.get(key) != right.get(key)}
    assert apart == set(PLANTED)
    if OUTPUT:
        seconds = time.monotonic() - began
        disturbed = {"pauses": done[2]}
        if followed is not None:
            disturbed["connections ended"] = followed.cuts
        told = {
            "method": method, "follower": f"{leader.dialect} replica", "seconds": seconds,
            "changes_per_second": done[1] / seconds, "judged_in_batches": outcomes["match"] + outcomes["drift"],
            "judged_by_daemon": 0, "moving": outcomes["moving"], "scanned": 0, "planted": len(PLANTED),
            "found": len(known), "missed": [], "false": [], "disturbed": disturbed,
        }  # fmt: skip
        with Path(OUTPUT).open("a") as out:
            out.write(json.dumps(told) + "\n")
    leader.close()
    follower.close()
