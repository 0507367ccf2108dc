"""From a complete pending transaction to what the verifier is told."""

from __future__ import annotations

from collections.abc import MutableMapping

from connectors.debezium.columns import Stretches
from connectors.debezium.event import End
from connectors.debezium.pending import Pending
from verifier.change import Blindness, Cause, Transaction
from verifier.position import Position
from verifier.spans import TOO_LARGE
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
    stretches = pending.stretches()
    found = dict.fromkeys(blind)
    table: TableName | None = None
    names: tuple[str, ...] = ()
    for one in stretches:
        if one.blind is not None:
            found[one.blind] = None
        if (one.fields is not names or one.table != table) and one.table is not None and one.fields:
            table, names = one.table, one.fields
            before = fields.get(table)
            if before is not names and before is not None and before != names:
                found[Blindness(Cause.DDL, table, _difference(before, names))] = None
            fields[table] = names
    if pending.large:
        for name, keys in sorted(pending.gathered.items()):
            found[Blindness(Cause.GAP, name, TOO_LARGE, spans=keys.told())] = None
        return Transaction(xid, commit, end.committed_at, (), tuple(found))
    distinct = sum([len(one.orders) for one in stretches]) == pending.count()
    size = sum([len(one.orders) for one in stretches if one.told is not None]) if distinct else None
    return Transaction(xid, commit, end.committed_at, Stretches(stretches, size=size), tuple(found))


def _difference(before: tuple[str, ...], now: tuple[str, ...]) -> str:
    added = ", ".join(f"+{name}" for name in now if name not in before)
    removed = ", ".join(f"-{name}" for name in before if name not in now)
    return " ".join(part for part in (added, removed) if part)
