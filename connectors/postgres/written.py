"""Which local transaction wrote a row version that `statements` tells, and how far the server's own log is written."""

from __future__ import annotations

from verifier.ports import Replica
from verifier.position import Lsn


def writer(version: str) -> int | None:
    """`xmin` of `tableoid:xmin:ctid`, 32 bits; None if the text is another's."""
    parts = version.split(":")
    return int(parts[1]) if len(parts) == 3 and parts[1].isdigit() else None


def log_end(replica: Replica) -> Lsn:
    """How far this server's own log is written. Errors as from `Replica.ask`."""
    answer = replica.ask("select pg_current_wal_insert_lsn()::text", rows_max=1, seconds_max=5.0).value
    return Lsn.parse(str(answer.rows[0][0]))
