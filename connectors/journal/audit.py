"""The append-only audit chain: who did what to which repair.

Each line's hash covers the line and the hash of the line before it, and the group remembers the last line, so that an
altered line, a missing one and a cut-off tail all show. Triggers refuse UPDATE and DELETE; the chain shows what
somebody who removed the triggers did. It cannot show that the whole chain was written anew by somebody who may write
everything: keep the newest hash elsewhere if that matters.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from sqlalchemy import Connection, insert, select, update

from connectors.journal import tables
from connectors.journal.store import PAGE, Store, fitting
from reconciler.ports import AuditEntry

_COLUMNS = tables.audit.c


def line_hash(
    group: str, sequence: int, at: float, actor: str, action: str, subject: str, detail: str, previous: str
) -> str:
    """SHA-256 over the line as a canonical JSON list, the hash of the line before it included; hexadecimal."""
    line = json.dumps([group, sequence, at, actor, action, subject, detail, previous], separators=(",", ":"))
    return hashlib.sha256(line.encode()).hexdigest()


def append(
    store: Store, connection: Connection, *, at: float, actor: str, lines: Sequence[tuple[str, str, str]]
) -> None:
    """Add lines (action, subject, detail) inside a write transaction that is already under way."""
    if not lines:
        return
    mine = tables.groups.c.group_name == store.group
    head = connection.execute(select(tables.groups).where(mine)).one()
    sequence, previous, at = head.audit_sequence, head.audit_hash, float(at)
    rows = []
    for action, subject, detail in lines:
        sequence += 1
        digest = line_hash(store.group, sequence, at, actor, action, subject, detail, previous)
        rows.append(
            {
                "group_name": store.group,
                "sequence": sequence,
                "at": at,
                "actor": actor,
                "action": action,
                "subject": subject,
                "detail": detail,
                "previous": previous,
                "hash": digest,
            }
        )
        previous = digest
    connection.execute(insert(tables.audit), rows)
    connection.execute(update(tables.groups).where(mine).values(audit_sequence=sequence, audit_hash=previous))


def newest(store: Store, limit: int) -> Sequence[AuditEntry]:
    """The newest lines, oldest of them first."""
    mine = _COLUMNS.group_name == store.group
    query = select(tables.audit).where(mine).order_by(_COLUMNS.sequence.desc()).limit(limit)
    with store.read() as connection:
        rows = connection.execute(query).all()
    return [
        AuditEntry(r.sequence, r.at, r.actor, r.action, r.subject, r.detail, r.previous, r.hash) for r in reversed(rows)
    ]


def broken_at(store: Store) -> int | None:
    """The first sequence number at which the chain does not hold (a line altered, missing, or cut off the end)."""
    sequence, previous = 0, ""
    # in a write transaction: lines and head are then of the same moment on both engines
    with store.write(fenced=False) as connection:
        head = connection.execute(select(tables.groups).where(tables.groups.c.group_name == store.group)).one()
        while True:
            behind = (_COLUMNS.group_name == store.group) & (_COLUMNS.sequence > sequence)
            if not (page := fitting(connection, tables.audit, behind, _COLUMNS.detail, PAGE)):
                break
            for row in page:
                digest = line_hash(
                    store.group, row.sequence, row.at, row.actor, row.action, row.subject, row.detail, previous
                )
                if (row.sequence, row.previous, row.hash) != (sequence + 1, previous, digest):
                    return sequence + 1
                sequence, previous = row.sequence, digest
    if sequence != head.audit_sequence:
        return min(sequence, int(head.audit_sequence)) + 1
    return None if previous == head.audit_hash else sequence
