"""Whatever events a binlog brings, in whatever order: each row is told, or it is told that something was not."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TypeAlias

from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.binlog.assemble import Assembler
from connectors.binlog.events import (
    Began,
    ColumnFacts,
    Committed,
    Event,
    Idle,
    Prepared,
    Rotated,
    Row,
    Rows,
    Statement,
    Unreadable,
)
from verifier.change import Blindness
from verifier.gtid import Binlog, DomainGtids, GtidSet
from verifier.table import Column, Family, Table, TableName

Told: TypeAlias = tuple[str, Event | str]
T = TableName("db", "t")
TABLE = Table(T, (Column("id", Family.INTEGER, "int"),), ("id",))
FACTS = (ColumnFacts("id", None, 0, ()),)
XIDS = (b"1:61:", b"1:62:")
_ORIGIN = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
_SQL = ["BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT a", "CREATE USER x", "ALTER TABLE t ADD a INT", "TRUNCATE t", "odd"]


def _broken(error: Exception) -> Callable[[], list[Row]]:
    def read() -> list[Row]:
        raise error

    return read


def rows(number: int, kind: str) -> Rows:
    if kind == "broken":
        return Rows(T, 1, FACTS, 1, _broken(IndexError("12")))
    listed = [Row(None, {"id": number}, {}, {})]
    if kind == "keyless":
        listed.append(Row(None, {}, {}, {}))
    return Rows(T, 1, None if kind == "unnamed" else FACTS, len(listed), lambda: listed)


_ALONE: list[Told] = [("event", one) for one in (Unreadable("odd bytes"), Committed(1.0), Rotated(), Idle())]
_ROWS: list[Told] = [("rows", kind) for kind in ("plain", "plain", "plain", "broken", "keyless", "unnamed")]
_STATEMENTS: list[Told] = [("event", Statement("db", sql, 1.0)) for sql in _SQL]
_XA: list[Told] = [
    *(("event", Prepared(xid, 1.0)) for xid in XIDS),
    *(
        ("event", Statement("db", f"XA {word} X'{one}',X'',1", 1.0))
        for one in (61, 62)
        for word in ("COMMIT", "ROLLBACK")
    ),
]


@st.composite
def events(draw: st.DrawFn, mariadb: bool) -> list[Told]:
    """What is to be fed, some kinds of it in each; rows and beginnings have their numbers given when they are."""
    began: list[Told] = [("began", ""), ("began", ""), ("standalone" if mariadb else "anonymous", "")]
    kinds = draw(st.lists(st.sampled_from([_ALONE, _ROWS, _STATEMENTS, _XA]), max_size=3))
    return draw(st.lists(st.one_of(*(st.sampled_from(kind) for kind in [began, *kinds])), max_size=10))


@given(st.booleans().flatmap(lambda mariadb: st.tuples(st.just(mariadb), events(mariadb))))
@settings(max_examples=400)
def test_no_row_is_lost_in_silence(told: tuple[bool, list[Told]]) -> None:
    mariadb, listed = told
    assembler = Assembler({T: TABLE}.get, mariadb=mariadb, changes_max=3)
    numbers, keys, blind, fed = itertools.count(1), set[int](), list[Blindness](), set[int]()

    def feed(event: Event) -> None:
        ended = assembler.feed(event, Binlog("b.000001", 100 * next(numbers)))
        blind.extend(assembler.lost)
        assembler.lost.clear()
        if ended is not None and ended.transaction is not None:
            keys.update(int(change.key[0]) for change in ended.transaction.changes)
            blind.extend(ended.transaction.blind)

    def began(kind: str) -> Began:
        number = next(numbers)
        gtid = DomainGtids.of([(0, 1, number)]) if mariadb else GtidSet.of({_ORIGIN: [(number, number)]})
        return Began(None if kind == "anonymous" else gtid, number, 1.0, kind == "standalone")

    undecided: set[bytes] = set()
    for kind, what in [*listed, ("began", ""), ("event", Committed(1.0))]:
        if kind == "rows":
            number = next(numbers)
            fed.add(number)
            feed(rows(number, str(what)))
        elif isinstance(what, str):
            feed(began(kind))
        else:
            feed(what)
            undecided |= {what.xid} if isinstance(what, Prepared) else set()
    if undecided:  # prepared, or rolled back: such rows were never committed
        return
    everything = any(one.table is None for one in blind)
    assert everything or fed <= keys or T in {one.table for one in blind}
    odd = [what for _, what in listed if isinstance(what, Unreadable) or getattr(what, "sql", "") == "odd"]
    assert everything or not odd


@given(
    st.lists(st.sampled_from([("COMMIT", 0), ("COMMIT", 1), ("ROLLBACK", 0), ("rows", 0)]), max_size=6), st.booleans()
)
def test_rows_beside_a_prepared_transaction_are_told_with_it(steps: list[tuple[str, int]], mariadb: bool) -> None:
    assembler = Assembler({T: TABLE}.get, mariadb=mariadb)
    gtids: list[DomainGtids | GtidSet] = [
        DomainGtids.of([(0, 1, number)]) if mariadb else GtidSet.of({_ORIGIN: [(number, number)]}) for number in (1, 2)
    ]
    for event in (Began(gtids[0], 1, 1.0), Statement("db", "XA START X'61',X'',1", 1.0), rows(77, "plain"),
                  Prepared(XIDS[0], 1.0), Began(gtids[1], 2, 1.0)):  # fmt: skip
        assembler.feed(event, Binlog("b.000001", 1))
    fed, told, ended = set[int](), set[int](), None
    for number, (word, index) in enumerate(steps):
        if word == "rows":
            fed.add(number)
            assembler.feed(rows(number, "plain"), Binlog("b.000001", 2))
            continue
        xid = f"XA {word} X'{XIDS[index][2:4].decode()}',X'',1"
        ended = assembler.feed(Statement("db", xid, 1.0), Binlog("b.000001", 3))
        if ended is not None and ended.transaction is not None:
            told = {int(change.key[0]) for change in ended.transaction.changes}
            if (word, index) == ("COMMIT", 0):
                fed.add(77)
        break
    if ended is not None:
        assert told == fed
