"""Whatever events a binlog brings, in whatever order: each row is told, or it is told that something was not."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from hypothesis import given
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


def events(mariadb: bool) -> st.SearchStrategy[list[tuple[str, Event | str]]]:
    """What is to be fed; rows and beginnings have their numbers given when they are."""
    xid = st.sampled_from(XIDS)
    decided = st.builds(
        lambda word, one: f"XA {word} X'{one[2:4].decode()}',X'',1", st.sampled_from(["COMMIT", "ROLLBACK"]), xid
    )
    began = st.sampled_from(["began", "standalone"] if mariadb else ["began", "anonymous"])
    return st.lists(
        st.one_of(
            began.map(lambda kind: (kind, "")),
            st.sampled_from(["plain", "plain", "broken", "keyless", "unnamed"]).map(lambda kind: ("rows", kind)),
            st.sampled_from(_SQL).map(lambda sql: ("event", Statement("db", sql, 1.0))),
            decided.map(lambda sql: ("event", Statement("db", sql, 1.0))),
            xid.map(lambda one: ("event", Prepared(one, 1.0))),
            st.sampled_from([Committed(1.0), Unreadable("odd bytes"), Rotated(), Idle()]).map(
                lambda one: ("event", one)
            ),
        ),
        max_size=14,
    )


@given(st.booleans().flatmap(lambda mariadb: st.tuples(st.just(mariadb), events(mariadb))))
def test_no_row_is_lost_in_silence(told: tuple[bool, list[tuple[str, Event | str]]]) -> None:
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
