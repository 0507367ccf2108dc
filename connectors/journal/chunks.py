"""A chunk's result as columns, for the audit's checkpoints and the daemon's scan alike."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row

from verifier.digest import Digest
from verifier.drift import Verdict
from verifier.errors import Unsound
from verifier.identity import key_text, parse_key
from verifier.journal import ChunkResult
from verifier.keyrange import Chunk, KeyRange
from verifier.table import TableName


def chunk_row(group: str, result: ChunkResult) -> dict[str, Any]:
    """The result as the columns that `chunk_of` reads back."""
    lower, upper = result.chunk.range.lower, result.chunk.range.upper
    return {
        "group_name": group,
        "schema_name": result.chunk.table.schema,
        "table_name": result.chunk.table.name,
        "chunk_index": result.chunk.index,
        "follower": result.follower,
        "lower": None if lower is None else key_text(lower),
        "upper": None if upper is None else key_text(upper),
        "verdict": result.verdict.value,
        "leader_rows": result.leader.rows,
        "leader_checksum": f"{result.leader.checksum:016x}",
        "follower_rows": result.follower_digest.rows,
        "follower_checksum": f"{result.follower_digest.checksum:016x}",
        "drifted": result.drifted,
        "unsettled": result.unsettled,
        "reason": result.reason,
        "seconds": result.seconds,
        "at": result.at,
    }


def chunk_of(row: Row[Any]) -> ChunkResult:
    """The result that `chunk_row` spelled."""
    lower = None if row.lower is None else parse_key(row.lower)
    upper = None if row.upper is None else parse_key(row.upper)
    return ChunkResult(
        chunk=Chunk(TableName(row.schema_name, row.table_name), KeyRange(lower, upper), row.chunk_index),
        follower=row.follower,
        verdict=Verdict(row.verdict),
        leader=Digest(row.leader_rows, int(row.leader_checksum, 16)),
        follower_digest=Digest(row.follower_rows, int(row.follower_checksum, 16)),
        drifted=row.drifted,
        unsettled=row.unsettled,
        reason=row.reason,
        seconds=row.seconds,
        at=row.at,
    )


def latest(group: str, results: list[ChunkResult]) -> list[dict[str, Any]]:
    """Rows to write, the last of those that describe the same chunk and follower."""
    return list({(r.chunk.table, r.chunk.index, r.follower): chunk_row(group, r) for r in results}.values())


def of_table(table: TableName, results: list[ChunkResult]) -> None:
    """Unsound unless every result is of this table."""
    for result in results:
        if result.chunk.table != table:
            raise Unsound(f"a chunk of {result.chunk.table} was recorded as one of {table}")
