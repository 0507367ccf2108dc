"""Recorded events of MySQL and MariaDB: every column type in two modes against what the servers print, and sessions as
transactions."""

from __future__ import annotations

import json

import pytest
from golden.recorded import DEFAULTS, M2, Message, described, recorded

from connectors.debezium import binlog_types
from connectors.debezium.assembly import TransactionAssembler
from connectors.debezium.binlog_values import decode
from connectors.debezium.decoder import Decoder
from connectors.debezium.event import Aside, RowEvent, Statement
from connectors.debezium.modes import Modes
from connectors.debezium.source_binlog import BinlogSource
from connectors.debezium.values import UNKNOWN, Number
from verifier.canonical import canonical
from verifier.change import Cause, Transaction
from verifier.gtid import Binlog, DomainGtids, GtidSet, Logged
from verifier.position import Position
from verifier.table import Family, Table, TableName

T, U, CUSTOMERS = TableName("inv", "t"), TableName("inv", "u"), TableName("gold", "customers")
UUID = "3e11fa47-71ca-41e1-9e33-c80aa9429562"
TIMES = ("t0", "t3", "t6")
MOMENTS = {"da", "dt", "dt3", "dt6", "ts", "ts3", "ts6"}
"""Their NULL may be a zero date: never told."""


def rows(name: str) -> list[tuple[dict[str, object], dict[str, dict[str, object]]]]:
    """The new rows of the streamed updates of `inv.t`, with their schemas by column."""
    found = []
    for message in recorded(name):
        if message.topic.endswith(".inv.t") and message.payload["op"] == "u":
            parsed = json.loads(message.value or b"", parse_float=Number)
            (after,) = [one for one in parsed["schema"]["fields"] if one["field"] == "after"]
            found.append((parsed["payload"]["after"], {one["field"]: one for one in after["fields"]}))
    return found


@pytest.mark.parametrize(
    ("name", "modes", "untold"),
    [
        ("mariadb_m1", DEFAULTS, {(1, "da"), (1, "dt"), (1, "dt3"), (1, "dt6")}),  # a year below 100 looks the same
        ("mariadb_m1", Modes(time="adaptive_time_microseconds"), set()),
        # times of more than a day are NULL in this spelling, so its NULLs are never told
        ("mariadb_m2", Modes("string", "isostring", "hex", bigint_unsigned="precise"), {(3, "t0"), (3, "t6")}),
    ],
)
@pytest.mark.parametrize("with_schemas", [False, True])
def test_what_is_told_is_the_servers_own_text(
    name: str, modes: Modes, untold: set[tuple[int, str]], with_schemas: bool
) -> None:
    table, texts = described("mariadb")[T]
    given = rows(name)
    assert len(given) == len(texts) == 4
    wrong, unknown = [], set()
    for number, ((row, schemas), want) in enumerate(zip(given, texts, strict=True), start=1):
        assert row.keys() == want.keys()
        for column in table.columns:
            if column.name == "b" and name == "mariadb_m2":  # it was flipped in between
                continue
            kind = binlog_types.of_column(column, schemas[column.name] if with_schemas else None)
            told = decode(row[column.name], kind, modes)
            if told is UNKNOWN:
                unknown.add((number, column.name))
            elif told != want[column.name] and (
                column.family is not Family.FLOAT
                or canonical(Family.FLOAT, told) != canonical(Family.FLOAT, want[column.name])
            ):
                wrong.append((number, column.name, told, want[column.name]))
    assert wrong == []
    nulls = {(number, column) for number, want in enumerate(texts, 1) for column in MOMENTS if want[column] is None}
    zeros = {(3, "da"), (3, "dt"), (3, "ts")}
    # in microseconds there is room for every time
    iso = {(number, column) for number, want in enumerate(texts, 1) for column in TIMES if want[column] is None}
    times = iso if modes.time == "isostring" else set()
    assert unknown == untold | nulls | zeros | times


def feed(messages: list[Message], assembler: TransactionAssembler, decoder: Decoder) -> list[Transaction]:
    offsets: dict[str, int] = {}
    found: list[Transaction] = []
    for message in messages:
        offset = offsets[message.topic] = offsets.get(message.topic, -1) + 1
        place = (message.topic, 0)
        event = decoder.decode(message.topic, message.key, message.value)
        if isinstance(event, RowEvent):
            assembler.row(place, offset, event)
        elif isinstance(event, Statement):
            assembler.statement(place, offset, event)
        elif isinstance(event, Aside):
            assembler.passed(place, offset)
        else:
            assembler.boundary(place, offset, event)
        assembler.heard()
        found += assembler.take(1000)
    return found


@pytest.mark.parametrize(
    ("engine", "start", "commits", "through"),
    [
        (
            "mariadb",
            Logged(DomainGtids.parse("0-1-10222"), Binlog("binlog.000001", 64844000)),
            [
                Logged(DomainGtids.parse("0-1-10223"), Binlog("binlog.000001", 64844378)),
                Logged(DomainGtids.parse("0-1-10224"), Binlog("binlog.000001", 64845478)),
                Logged(DomainGtids.parse("0-1-10225"), Binlog("binlog.000001", 64846107)),
            ],
            Logged(DomainGtids.parse("0-1-10225"), Binlog("binlog.000001", 64846107)),
        ),
        (
            "mysql",
            GtidSet.parse(f"{UUID}:1-1383404"),
            [GtidSet.parse(f"{UUID}:{number}") for number in (1383405, 1383406, 1383407)],
            GtidSet.parse(f"{UUID}:1-1383407"),
        ),
    ],
)
def test_a_session_with_gtids(engine: str, start: Position, commits: list[Position], through: Position) -> None:
    table, texts = described(engine)[CUSTOMERS]
    source = BinlogSource(mariadb=engine == "mariadb")
    modes = Modes(time="adaptive_time_microseconds")
    assembler = TransactionAssembler(start, source=source)
    found = feed(
        recorded(f"{engine}_customers"), assembler, Decoder("goldplain", modes, {CUSTOMERS: table}.get, source)
    )
    big = 18446744073709551615
    assert [[(c.operation.value, c.key) for c in t.changes] for t in found] == [
        [("insert", (big, "us"))],
        [("update", (1, "eu")), ("delete", (1, "eu")), ("insert", (1, "ap"))],
        [("delete", (big, "us"))],
    ]
    assert [t.commit for t in found] == commits
    assert assembler.delivered == through
    assert [t.blind for t in found] == [(), (), ()]
    assert [(one.cause, one.table) for one in assembler.noticed()] == [(Cause.GAP, None)] * 2, (
        "it took its snapshot, and went on behind it"
    )
    for change, want in ((found[1].changes[0], texts[0]), (found[0].changes[0], texts[1])):
        told = dict(change.after or {})
        assert told.pop("score") == repr(float(want["score"] or ""))
        if engine == "mysql" and change.key[0] == 1:  # "a": 1.0 may be printed otherwise inside JSON
            assert "doc" not in told
        # the connector adjusted the year 1; with the mode that says so the date is unknown
        born = {"born": "2001-01-01"} if change.key[0] == big else {}
        assert told == {name: text for name, text in want.items() if name in told} | born
        assert table.column("doc").family is Family.JSON
        assert want.keys() - told.keys() <= {"score", "doc"}


def test_with_the_time_adjuster_dates_of_this_century_are_not_told() -> None:
    table, _ = described("mysql")[CUSTOMERS]
    source = BinlogSource(mariadb=False)
    assembler = TransactionAssembler(GtidSet.parse(f"{UUID}:1-1383404"), source=source)
    decoder = Decoder("goldplain", DEFAULTS, {CUSTOMERS: table}.get, source)
    insert = feed(recorded("mysql_customers"), assembler, decoder)[0].changes[0]
    assert insert.after is not None
    assert table.column("born").name not in insert.after
    assert insert.after["made"] == "1000-01-01 00:00:00.000000"


@pytest.mark.parametrize("name", ["m1", "m2"])
def test_a_session_without_gtids(name: str) -> None:
    """update t; update u set id = 101 where id = 1; delete from u where id = 2; truncate u; alter table u; insert"""
    tables = {table.name: table for table, _ in described("mariadb").values()}
    tables[U] = Table(U, tables[T].columns[:1], ("id",))
    source = BinlogSource(mariadb=True)
    modes = DEFAULTS if name == "m1" else M2
    assembler = TransactionAssembler(Binlog("mb.000001", 0), source=source)
    found = feed(recorded(f"mariadb_{name}"), assembler, Decoder(name, modes, tables.get, source))
    assert [[(c.table.name, c.operation.value, c.key) for c in t.changes] for t in found] == [
        [("t", "update", (key,)) for key in (1, 2, 3, 4)],
        [("u", "delete", (1,)), ("u", "insert", (101,))],
        [("u", "delete", (2,))],
        [("u", "insert", (5,))],
    ]
    told = [(one.cause, one.table) for one in assembler.noticed()]
    lost = [(Cause.GAP, None)] * 2  # its snapshot, and what stands behind it
    assert told == [*lost, (Cause.TRUNCATE, U), (Cause.DDL, U)]
    assert [(b.cause, b.table, b.detail) for t in found for b in t.blind] == [(Cause.DDL, U, "+w")]
