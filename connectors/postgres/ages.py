"""How old a row version is, by its `xmin`, as a condition of SQL.

`xmin` has 32 bits and the server's ids have 64. The statement's own snapshot bounds them: whatever it shows was written
by a transaction below the snapshot's `xmax`, so the id is the greatest below `xmax` with those 32 bits, or one of
2^32, 2^33 ... less (a frozen row keeps the id that it was written with). The first is what we take: a row can be taken
for younger than it is, never for older. Ids below 3 are the server's own marks for rows older than all transactions.

The bound must come from the statement itself. An id from a moment before would make rows written since then look
2^32 transactions old. The subselect is evaluated once per statement, not per row.
"""

from __future__ import annotations

_LAST = "((select pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot()))::text::bigint - 1)"


def older(xid: int, of: str = "xmin") -> str:
    """True for versions that were surely written by transactions with ids below `xid` (64 bits)."""
    distance = f"(({_LAST} - {of}::text::bigint) & 4294967295)"
    return f"({of}::text::bigint < 3 or {distance} > {_LAST} - {int(xid)})"


def fresh(xid: int, of: str = "xmin") -> str:
    """True for every version that may have been written by a transaction with the id `xid` or a later one."""
    return f"(not {older(xid, of)})"
