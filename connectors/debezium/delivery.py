"""From a complete pending transaction to what the verifier is told."""

from __future__ import annotations

from collections.abc import MutableMapping

from connectors.debezium.event import End
from connectors.debezium.pending import Pending
from verifier.change import Blindness, Cause, Transaction
from verifier.position import Position
from verifier.table import TableName


def deliver(
    xid: int,
    commit: Position,
    end: End,
    pending: Pending,
    blind: tuple[Blindness, ...],
    fields: MutableMapping[TableName, tuple[str, ...]],
) -> Transaction:
    """The transaction with its changes in their order. `fields` is what each table looked like last, in commit
    order, and is brought up to date: another set of columns means that the table's definition changed."""
    found = dict.fromkeys(blind)
    changes = []
    table: TableName | None = None
    names: tuple[str, ...] = ()
    for row in pending.rows():
        if row.blind is not None:
            found[row.blind] = None
        if (row.fields is not names or row.table is not table) and row.table is not None and row.fields:
            table, names = row.table, row.fields
            before = fields.get(table)
            if before is not None and before != names:
                found[Blindness(Cause.DDL, table, _difference(before, names))] = None
            fields[table] = names
        if row.change is not None:
            changes.append(row.change)
    for table in sorted(pending.large):
        found[Blindness(Cause.GAP, table, "transaction too large to follow key by key")] = None
    return Transaction(xid, commit, end.committed_at, tuple(changes), tuple(found))


def _difference(before: tuple[str, ...], now: tuple[str, ...]) -> str:
    added = ", ".join(f"+{name}" for name in now if name not in before)
    removed = ", ".join(f"-{name}" for name in before if name not in now)
    return " ".join(part for part in (added, removed) if part)
