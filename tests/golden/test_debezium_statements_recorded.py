"""What stands in a binlog by itself, as the connectors of MariaDB and MySQL told it (3.5.0 and 3.6.1, with GTIDs).

Recorded: insert orders 1; insert lines; truncate orders; alter orders; insert orders 2; create user; flush tables;
analyze table; create and rename another table; alter orders; insert orders 50 in an XA transaction; drop the other
table and the user; insert orders 3. The heartbeat's transactions lie in between.
"""

from __future__ import annotations

import json

from golden.recorded import Message, recorded
from golden.test_debezium_binlog import feed

from connectors.debezium.assembly import TransactionAssembler
from connectors.debezium.decoder import Decoder
from connectors.debezium.modes import RECOMMENDED_BINLOG
from connectors.debezium.source_binlog import BinlogSource
from verifier.change import Cause, Transaction
from verifier.gtid import Binlog, DomainGtids, GtidSet, Logged
from verifier.table import Column, Family, Table, TableName

ORDERS, LINES = TableName("public", "orders"), TableName("public", "lines")
INT, TEXT = (Family.INTEGER, "int(11)"), (Family.TEXT, "text")
TABLES = {
    ORDERS: Table(ORDERS, (Column("id", *INT), Column("v", *TEXT)), ("id",)),
    LINES: Table(LINES, (Column("order_id", *INT), Column("line", *INT)), ("line", "order_id")),
}
A, B = "aaaaaaaa-71ca-41e1-9e33-c80aa9429560", "bbbbbbbb-71ca-41e1-9e33-c80aa9429561"


def told(transactions: list[Transaction]) -> list[tuple[int, list[tuple[str, object]], list[Cause]]]:
    return [
        (t.xid, [(c.table.name, c.key) for c in t.changes], [b.cause for b in t.blind])
        for t in transactions
        if t.changes or t.blind
    ]


def test_mariadb() -> None:
    source = BinlogSource(mariadb=True)
    assembler = TransactionAssembler(DomainGtids.parse("0-1-19"), source=source)
    found = feed(recorded("mariadb_statements"), assembler, Decoder("st", RECOMMENDED_BINLOG, TABLES.get, source))
    assert told(found) == [
        (20, [("orders", (1,))], []),
        (21, [("lines", (1, 1))], []),
        (22, [], [Cause.TRUNCATE]),
        (23, [], [Cause.DDL]),
        (24, [("orders", (2,))], []),
        (30, [], [Cause.DDL]),
        # 31 was the prepared row, 32 its commit
        (35, [("orders", (3,))], [Cause.GAP]),
    ]
    assert {t.xid: t.commit for t in found}[22] == Logged(DomainGtids.parse("0-1-22"), Binlog("binlog.000001", 5184))
    assert assembler.delivered == Logged(DomainGtids.parse("0-1-36"), Binlog("binlog.000001", 7874))


def test_mysql() -> None:
    source = BinlogSource(mariadb=False, fence=lambda: (GtidSet(), GtidSet()))
    assembler = TransactionAssembler(GtidSet.parse(f"{B}:1-18"), source=source)
    decoder = Decoder("st", RECOMMENDED_BINLOG, TABLES.get, source)
    found = feed(recorded("mysql_statements"), assembler, decoder)
    assert told(found) == [
        (1, [("orders", (1,))], []),
        (2, [("lines", (1, 1))], []),
        (3, [], [Cause.TRUNCATE]),
        (4, [], [Cause.DDL]),
        (5, [("orders", (2,))], []),
        (6, [("orders", (3,))], []),
        # of the other origin: 24 altered the table, 25 is the prepared row and 26 its commit, 29 the next heartbeat
        (24, [], [Cause.DDL]),
        (25, [], [Cause.GAP]),
        (29, [], [Cause.GAP]),
    ]
    assert assembler.delivered == GtidSet.parse(f"{A}:1-6,{B}:1-18:24-25:29")
    executed = GtidSet.parse(f"{A}:1-6,{B}:1-29")
    assembler.heads.fenced(executed, executed)
    end = {"status": "END", "id": f"{B}:30", "event_count": 0, "ts_ms": 1, "data_collections": []}
    last = feed([Message("st.transaction", None, json.dumps(end).encode())], assembler, decoder)
    assert told(last) == [(30, [], [Cause.GAP])], "numbers that nobody told of may be the commit"
    assert assembler.delivered == GtidSet.parse(f"{A}:1-6,{B}:1-30")
