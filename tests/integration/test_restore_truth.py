"""Restore drills against random histories on a real server: nothing that a faithful copy holds is ever called drift,
everything untouched is proven, and every planted damage to it is found.

Three sessions write in random steps, with savepoints, rollbacks, locks and rows that come back; the position is noted
in the middle of it, the copy is made later from one snapshot, and some transactions are still open at the drill.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from fixtures.databases import Database

from connectors.postgres.replica import Options, PostgresReplica
from trueup.audit.progress import Silent
from trueup.audit.request import Request
from trueup.bootstrap.auditing import Plan, open_audit
from trueup.bootstrap.restore import drill_of
from trueup.bootstrap.servers import Address
from verifier.look import Role
from verifier.policy import ScanPolicy
from verifier.recorded import Recorded, floor_of

pytestmark = pytest.mark.postgres

ROWS = 300
SESSIONS = 3
SCHEMA = "create table t (id int primary key, v int, note text) with (fillfactor = 60)"
FILL = f"insert into t select i, i, repeat('x', i % 50) from generate_series(1, {ROWS}) i"


@pytest.fixture
def restored(database: Database) -> Iterator[Database]:
    name = f"{database.name}_restored"
    database.cluster.sql(f'create database "{name}"')
    made = Database(database.cluster, name)
    made.sql(SCHEMA)
    yield made
    database.cluster.sql(f'drop database "{name}" with (force)')


@dataclass
class Writers:
    """Sessions that write keys of their own, so that none waits for another. `touched`: keys that anything was tried
    on, whatever became of it."""

    chance: random.Random
    sessions: list[psycopg.Connection[Any]]
    touched: set[int] = field(default_factory=set)

    def step(self) -> None:
        number = self.chance.randrange(SESSIONS)
        session = self.sessions[number]
        if self.chance.random() < 0.3:
            (session.commit if self.chance.random() < 0.6 else session.rollback)()
            return
        inside = self.chance.random() < 0.3
        if inside:
            session.execute("savepoint s")
        for _ in range(self.chance.randint(1, 3)):
            self._write(session, self.chance.randrange(ROWS // 4) * SESSIONS + number + 1)
        if inside:
            session.execute(self.chance.choice(["release savepoint s", "rollback to savepoint s"]))

    def _write(self, session: psycopg.Connection[Any], key: int) -> None:
        self.touched.add(key)
        chosen = self.chance.random()
        if chosen < 0.5:
            session.execute("update t set v = v + 1 where id = %s", (key,))
        elif chosen < 0.65:
            session.execute("delete from t where id = %s", (key,))
        elif chosen < 0.8:
            session.execute("insert into t values (%s, 0, 'again') on conflict do nothing", (key,))
        elif chosen < 0.9:
            session.execute("select from t where id = %s for update", (key,))
        else:
            session.execute("update t set note = note where id = %s", (key,))


def noted(leader: PostgresReplica) -> Recorded:
    identity, mark = leader.identity(), leader.mark()
    view = leader.ask("select 1", rows_max=1, seconds_max=5).view
    return Recorded(identity.system, identity.timeline, leader.position(), mark, floor_of(view), view.ended_below(mark))


def drill(leader: Database, restored: Database, at: Recorded, folder: Path) -> tuple[dict[str, Any], dict[int, str]]:
    """What was counted, and the kind of drift by key."""
    plan = Plan(
        "audit", Address("leader", leader.url), (Address("backup", restored.url),), Request(("public.t",)),
        folder / f"{uuid.uuid4().hex}.db", scan=ScanPolicy(rows_first=40, rows_min=20, rows_max=100),
    )  # fmt: skip
    opened = open_audit(plan, run=None, watcher=Silent(), stop=lambda: False)
    try:
        drill_of(opened, at, Silent()).begin()
        report = opened.audit.run(opened.audit.begin(None))
    finally:
        opened.close()
    (entry,) = report["tables"]
    return dict(entry["restore"]["rows"]), {row["key"]["id"]: row["kind"] for row in entry["rows_drifted"]}


def copy(leader: Database, restored: Database) -> None:
    restored.sql("truncate t")
    with (
        psycopg.connect(leader.dsn) as source,
        psycopg.connect(restored.dsn) as target,
        source.cursor().copy("copy t to stdout") as out,
        target.cursor().copy("copy t from stdin") as into,
    ):
        for block in out:
            into.write(block)


@pytest.mark.parametrize("seed", range(8))
def test_random_histories(seed: int, database: Database, restored: Database, tmp_path: Path) -> None:
    chance = random.Random(seed)
    database.sql(SCHEMA)
    database.sql(FILL)
    leader = PostgresReplica("leader", database.url, Options(role=Role.LEADER))
    sessions = [psycopg.connect(database.dsn) for _ in range(SESSIONS)]
    try:
        writers = Writers(chance, sessions)
        for _ in range(chance.randint(0, 60)):
            writers.step()
        at = noted(leader)
        for _ in range(chance.choice((0, 1, 20))):  # some who were writing are writing still when it is copied
            writers.step()
        copy(database, restored)
        for _ in range(chance.randint(0, 60)):
            writers.step()
        if chance.random() < 0.5:
            database.sql("vacuum (freeze) t")

        counted, drifted = drill(database, restored, at, tmp_path)
        assert drifted == {}
        assert counted["proven"] + counted["changed"] + counted["gone"] == counted["backup"]
        untouched = set(range(1, ROWS + 1)) - writers.touched
        assert counted["proven"] >= len(untouched)
        assert counted["proven"] <= ROWS

        spoilt, lost = chance.sample(sorted(untouched), 2)
        restored.sql(f"update t set v = -1 where id = {spoilt}")
        restored.sql(f"delete from t where id = {lost}")
        _, drifted = drill(database, restored, at, tmp_path)
        assert drifted == {spoilt: "mismatched", lost: "missing"}
    finally:
        for session in sessions:
            session.close()
        leader.close()
