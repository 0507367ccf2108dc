"""The life of a row, read back from the binlog of MariaDB and of MySQL, as far as the limits allow."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest
from fixtures.mysql_servers import PairDatabase
from fixtures.program import trueup
from fixtures.watched import pair_settings

from connectors.binlog.history import BinlogHistory, Limits
from connectors.mysql.replica import MysqlReplica, Options
from verifier.change import Operation
from verifier.look import Role
from verifier.table import TableName

pytestmark = pytest.mark.mysql


def test_a_rows_changes_are_read_back_and_the_one_that_was_lost_is_named(
    pair_database: PairDatabase, tmp_path: Path
) -> None:
    database = pair_database
    leader = MysqlReplica("leader", database.leader_url, Options(role=Role.LEADER))
    try:
        database.sql(
            "create table orders (id bigint primary key, status varchar(20) not null, note varchar(20))",
            "create table others (id bigint primary key)",
            "insert into orders values (1, 'new', null), (2, 'new', 'x')",
            "flush binary logs",
            "insert into others values (1), (2), (3)",
            "update orders set status = 'paid' where id = 1",
            "update orders set status = 'paid' where id = 2",
        )
        database.pair.caught_up()
        database.pair.hold()
        database.sql("update orders set status = 'sent' where id = 1")
        _read_back(leader, database)
        database.pair.release()
        database.pair.caught_up()
        database.plant("update orders set status = 'paid' where id = 1")
        _traced(database, tmp_path)
    finally:
        leader.close()


def _read_back(leader: MysqlReplica, database: PairDatabase) -> None:
    name = TableName(database.name, "orders")
    table = leader.table(name)
    shares: list[float] = []

    def history(limits: Limits) -> BinlogHistory:
        return BinlogHistory(
            leader, database.leader_url, lambda asked: table if asked == name else None, "trace", limits, shares.append
        )

    found = history(Limits()).changes(name, (1,))
    assert [(one.operation, (one.after or {})["status"]) for one in found.changes] == [
        (Operation.INSERT, "new"),
        (Operation.UPDATE, "paid"),
        (Operation.UPDATE, "sent"),
    ]
    assert shares[-1] == 1.0
    first, paid, sent = found.changes
    assert found.since is None or sent.commit.covers(found.since)
    assert (paid.place != sent.place, paid.transaction != sent.transaction) == (True, True)
    assert sent.committed_at is not None
    behind = history(Limits()).changes(name, (1,), paid.commit)
    assert [one.commit for one in behind.changes] == [sent.commit]
    newest = history(Limits(bytes=1)).changes(name, (1,))  # the newest file alone
    assert [one.commit for one in newest.changes] == [paid.commit, sent.commit]
    assert newest.note == ""
    assert newest.since is not None
    assert not newest.since.covers(paid.commit)
    assert newest.since.covers(first.commit)
    hurried = history(Limits(seconds=0.0)).changes(name, (1,))
    assert (hurried.changes, hurried.since) == ((), None)
    assert "could be read in time" in hurried.note


def _traced(database: PairDatabase, folder: Path) -> None:
    file = folder / "trueup.yaml"
    file.write_text(pair_settings(database, "stream: {kind: binlog}"))
    words = ["trace", f"{database.name}.orders", "1", "--format", "json", "--config", str(file)]
    done = trueup(*words)
    assert done.code == 1, done
    told = done.json
    schema = json.loads(files("trueup").joinpath("schemas/trace.json").read_text(encoding="utf-8"))
    jsonschema.validate(told, schema, cls=jsonschema.Draft202012Validator)
    assert told["history"]["source"] == "binlog"
    assert [one["row"]["status"] for one in told["changes"]] == ["new", "paid", "sent"]
    (replica,) = told["followers"]
    assert (replica["state"], replica["holds"], replica["cause"]) == ("mismatched", 2, "unknown")
    assert {"lost", "doubled"} <= set(replica["possible"])
