"""Ids, positions and tables of transactions, per database."""

from __future__ import annotations

from itertools import pairwise

import pytest

from connectors.debezium.source import POSTGRES, Source
from connectors.debezium.source_binlog import BinlogSource
from verifier.gtid import Binlog, DomainGtids, GtidSet, Logged
from verifier.position import Lsn, Position, parse
from verifier.table import TableName

MARIADB, MYSQL = BinlogSource(mariadb=True), BinlogSource(mariadb=False)
A, B = "3e11fa47-71ca-41e1-9e33-c80aa9429562", "aaaaaaaa-71ca-41e1-9e33-c80aa9429562"


def gtids(text: str) -> GtidSet:
    return GtidSet.parse(text)


def domains(text: str) -> DomainGtids:
    return DomainGtids.parse(text)


@pytest.mark.parametrize(
    ("source", "written", "xid", "number", "own"),
    [
        (POSTGRES, "7:24439656", 7, 7, Lsn(24439656)),
        (MARIADB, "0-1-10223", "0-1-10223", 10223, domains("0-1-10223")),
        (MYSQL, f"{A}:1383405", f"{A}:1383405", 1383405, gtids(f"{A}:1383405")),
        (MYSQL, f"{A}:nightly:7", f"{A}:nightly:7", 7, gtids(f"{A}:nightly:7")),
        (MYSQL, "file=mb.000001,pos=321", "file=mb.000001,pos=321", 321, Binlog("mb.000001", 322)),
    ],
)
def test_an_id_names_its_transaction_and_its_position(
    source: Source, written: str, xid: int | str, number: int, own: Position
) -> None:
    assert source.transaction(written) == xid
    assert source.end(written) == (xid, own)
    assert source.number(xid) == number


@pytest.mark.parametrize(
    ("source", "written"),
    [
        (POSTGRES, "0-1-5"), (POSTGRES, "x:5"), (POSTGRES, None), (MARIADB, "7:5"), (MARIADB, f"{A}:5"), (MARIADB, 7),
        (MYSQL, "0-1-5"), (MYSQL, A), (MYSQL, f"{A}:x"), (MYSQL, f"{A}:1-5"), (MYSQL, None), (MYSQL, "file=x"),
    ],
)  # fmt: skip
def test_an_id_of_another_database_is_refused(source: Source, written: object) -> None:
    with pytest.raises(ValueError, match=r"transaction id|invalid literal"):
        source.transaction(written)


@pytest.mark.parametrize(
    ("source", "before", "own", "through", "passed_over"),
    [
        (POSTGRES, Lsn(5), Lsn(9), Lsn(9), False),
        (POSTGRES, Lsn(9), Lsn(5), Lsn(9), False),
        (MARIADB, domains("0-1-5"), domains("0-1-6"), domains("0-1-6"), False),
        (MARIADB, domains("0-1-5,7-2-3"), domains("0-2-8"), domains("0-2-8,7-2-3"), True),
        (MARIADB, Logged(domains("0-1-5"), Binlog("b.1", 9)), domains("0-1-6"), domains("0-1-6"), False),
        (MARIADB, None, domains("0-1-6"), domains("0-1-6"), False),
        (MYSQL, gtids(f"{A}:1-5"), gtids(f"{A}:6"), gtids(f"{A}:1-6"), False),
        # 6 and 7 may still come, or are GRANT or DDL
        (MYSQL, gtids(f"{A}:1-5,{B}:1-3"), gtids(f"{A}:8"), gtids(f"{A}:1-5:8,{B}:1-3"), True),
        (MYSQL, gtids(f"{A}:1-5"), gtids(f"{B}:1"), gtids(f"{A}:1-5,{B}:1"), False),
        (MYSQL, gtids(f"{A}:1-5:8-9"), gtids(f"{A}:7"), gtids(f"{A}:1-5:7-9"), False),
        (MYSQL, None, gtids(f"{A}:6"), gtids(f"{A}:6"), False),
        (MYSQL, Binlog("b.9", 5), Binlog("b.10", 3), Binlog("b.10", 3), True),
    ],
)
def test_commits_add_up(
    source: Source, before: Position | None, own: Position, through: Position, passed_over: bool
) -> None:
    assert source.after(before, own) == through
    assert through.covers(own)
    assert before is None or through.covers(before)
    assert source.passed_over(before, own) is passed_over
    assert parse(through.text()) == through


@pytest.mark.parametrize(
    ("source", "one", "other", "before"),
    [
        (MARIADB, domains("0-1-5"), domains("0-2-6"), True),
        (MARIADB, domains("0-1-5"), domains("7-1-6"), False),
        (MARIADB, domains("0-1-6"), domains("0-1-6"), False),
        (MYSQL, gtids(f"{A}:5"), gtids(f"{A}:6"), True),
        (MYSQL, gtids(f"{A}:6"), gtids(f"{A}:6"), False),
        (MYSQL, gtids(f"{A}:5"), gtids(f"{B}:6"), False),
    ],
)
def test_which_of_two_was_surely_logged_first(source: Source, one: Position, other: Position, before: bool) -> None:
    assert source.precedes(one, other) is before


def test_mariadb_says_where_in_the_binlog_a_commit_lies() -> None:
    through, place, before = domains("0-1-6"), Binlog("b.2", 80), Logged(domains("0-1-5"), Binlog("b.2", 40))
    assert MARIADB.placed(through, place, None) == Logged(through, place)
    assert MARIADB.placed(through, None, before) == Logged(through, Binlog("b.2", 40))
    assert MARIADB.placed(through, None, None) == through
    assert MARIADB.commit(through, place) == Logged(through, place)
    assert MARIADB.commit(through, None) == MYSQL.commit(through, None) == through
    assert MARIADB.place({"file": "b.2", "pos": 80}) == place
    assert MARIADB.place({"file": None, "pos": 80}) is None
    assert MYSQL.place({"file": "b.2", "pos": 80}) is None


def test_tables_have_a_schema_or_a_database() -> None:
    assert POSTGRES.table({"db": "shop", "schema": "public", "table": "t"}) == TableName("public", "t")
    assert MYSQL.table({"db": "shop", "table": "t"}) == TableName("shop", "t")
    with pytest.raises(ValueError, match=r"source\.table"):
        MYSQL.table({"db": "shop", "table": None})


def test_positions_of_the_leader_of_another_engine_are_not_its_own() -> None:
    assert [POSTGRES.owns(one) for one in (Lsn(1), gtids(f"{A}:1"))] == [True, False]
    assert [MYSQL.owns(one) for one in (Lsn(1), gtids(f"{A}:1"), domains("0-1-1"))] == [False, True, True]


def test_a_statement_by_itself_has_an_id_or_none_and_on_postgresql_is_no_such_thing() -> None:
    assert MARIADB.statement({"gtid": "0-1-7"}) == "0-1-7"
    assert MARIADB.statement({"gtid": None}) is None
    with pytest.raises(ValueError, match=r"provide\.transaction\.metadata=true"):
        POSTGRES.statement({})


@pytest.mark.parametrize(
    "written",
    [
        [],
        ["7:1"],
        ["7:1", "7:2", "8:3", "7:4"],
        ["9:1", "9:2", "10:3", "10:4", "100:5"],  # heads of several lengths
        ["10:1", "1:11", "1:1"],
    ],
)
def test_runs_of_ids_are_what_each_id_says(written: list[str]) -> None:
    """Those that follow each other and are of one transaction are told once."""
    told = [xid for xid, count in POSTGRES.runs(written) for _ in range(count)]
    assert told == [POSTGRES.transaction(one) for one in written]
    heads = [xid for xid, _ in POSTGRES.runs(written)]
    assert all(one != other for one, other in pairwise(heads))


@pytest.mark.parametrize("written", [["7"], ["7:1", "7"], ["7", "7:1"], ["10:1", "102"], ["0-1-5"], ["7:1", "x:2"]])
def test_a_run_with_an_id_of_another_database_is_refused(written: list[str]) -> None:
    with pytest.raises(ValueError, match=r"substring|invalid literal|base 10"):
        POSTGRES.runs(written)
