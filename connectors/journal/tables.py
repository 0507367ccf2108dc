"""The journal's tables, as SQLAlchemy sees them.

Every row belongs to a group, so that several daemons can share one PostgreSQL journal. Values that only trueup reads
(keys, columns, positions) are JSON text, the same bytes on both engines. Identities that are long or composite are
hashed (`id`, `key_hash`), because a btree entry has a size limit and a key has none.

The migrations create what is declared here; a test compares the two.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(naming_convention={"fk": "%(table_name)s_belongs"})

Big = BigInteger().with_variant(Integer, "sqlite")
"""64 bits on both engines; SQLite numbers rows by itself only in a column declared INTEGER."""

SECONDS = Float(53)

groups = Table(
    "trueup_groups",
    metadata,
    Column("group_name", Text, primary_key=True),
    Column("audit_sequence", Big, nullable=False, default=0),
    Column("audit_hash", Text, nullable=False, default=""),
    Column("findings", Big),
    Column("mask_salt", Text),
)

runs = Table(
    "trueup_runs",
    metadata,
    Column("group_name", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("started_at", SECONDS, nullable=False),
    Column("settings", Text, nullable=False),
    Column("finished_at", SECONDS),
    Column("verdict", Text),
    Column("report", Text),
    Index("trueup_runs_recent", "group_name", "started_at"),
)


def _of_run() -> ForeignKeyConstraint:
    """Belongs to a run and goes with it."""
    return ForeignKeyConstraint(
        ["group_name", "run_id"], ["trueup_runs.group_name", "trueup_runs.id"], ondelete="CASCADE"
    )


def _of_table() -> tuple[Column[Any], ...]:
    """A row for each table of a group."""
    return tuple(Column(name, Text, primary_key=True) for name in ("group_name", "schema_name", "table_name"))


def _chunk_columns() -> tuple[Column[Any], ...]:
    """What a chunk's result holds, beside the chunk's identity. Checksums are 16 hexadecimal digits: no engine here
    has unsigned 64-bit integers."""
    return (
        Column("lower", Text),
        Column("upper", Text),
        Column("verdict", Text, nullable=False),
        Column("leader_rows", Big, nullable=False),
        Column("leader_checksum", Text, nullable=False),
        Column("follower_rows", Big, nullable=False),
        Column("follower_checksum", Text, nullable=False),
        Column("drifted", Big, nullable=False),
        Column("unsettled", Big, nullable=False),
        Column("reason", Text),
        Column("seconds", SECONDS, nullable=False),
        Column("at", SECONDS, nullable=False),
    )


run_chunks = Table(
    "trueup_run_chunks",
    metadata,
    Column("group_name", Text, primary_key=True),
    Column("run_id", Text, primary_key=True),
    Column("schema_name", Text, primary_key=True),
    Column("table_name", Text, primary_key=True),
    Column("chunk_index", Big, primary_key=True, autoincrement=False),
    Column("follower", Text, primary_key=True),
    *_chunk_columns(),
    _of_run(),
)

run_tables = Table(
    "trueup_run_tables",
    metadata,
    Column("group_name", Text, primary_key=True),
    Column("run_id", Text, primary_key=True),
    Column("schema_name", Text, primary_key=True),
    Column("table_name", Text, primary_key=True),
    Column("summary", Text, nullable=False),
    _of_run(),
)

run_drifts = Table(
    "trueup_run_drifts",
    metadata,
    Column("sequence", Big, primary_key=True),
    Column("group_name", Text, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("follower", Text, nullable=False),
    Column("schema_name", Text, nullable=False),
    Column("table_name", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("columns", Text, nullable=False),
    Column("certainty", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("positions", Text, nullable=False),
    Column("found_at", SECONDS, nullable=False),
    Column("cause", Text),
    Column("since", Text),
    UniqueConstraint("group_name", "run_id", "id", name="trueup_run_drifts_once"),
    _of_run(),
    Index("trueup_run_drifts_order", "group_name", "run_id", "schema_name", "table_name", "sequence"),
)

drifts = Table(
    "trueup_drifts",
    metadata,
    Column("group_name", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("follower", Text, nullable=False),
    Column("schema_name", Text, nullable=False),
    Column("table_name", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("columns", Text, nullable=False),
    Column("certainty", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("positions", Text, nullable=False),
    Column("found_at", SECONDS, nullable=False),
    Column("state", Text, nullable=False),
    Column("first_found_at", SECONDS, nullable=False),
    Column("last_seen_at", SECONDS, nullable=False),
    Column("cleared_at", SECONDS),
    Column("cause", Text),
    Column("since", Text),
    Column("history", Text),
    Column("finding", Big),
    Index("trueup_drifts_oldest", "group_name", "state", "first_found_at", "id"),
    Index("trueup_drifts_place", "group_name", "state", "follower", "schema_name", "table_name", "last_seen_at"),
    Index("trueup_drifts_finding", "group_name", "state", "follower", "finding"),
)

stream = Table(
    "trueup_stream",
    metadata,
    Column("group_name", Text, primary_key=True),
    Column("offsets", Text, nullable=False),
    Column("read_through", Text),
    Column("generation", Big, nullable=False),
)

touched = Table(
    "trueup_touched",
    metadata,
    Column("group_name", Text, primary_key=True),
    Column("follower", Text, primary_key=True),
    Column("key_hash", Text, primary_key=True),
    Column("schema_name", Text, nullable=False),
    Column("table_name", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("commit_position", Text, nullable=False),
    Column("generation", Big, nullable=False),
    Column("touched_at", SECONDS, nullable=False),
    Index("trueup_touched_oldest", "group_name", "follower", "generation"),
    sqlite_with_rowid=False,
)

blind = Table(
    "trueup_blind",
    metadata,
    *_of_table(),
    Column("cause", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("at", SECONDS, nullable=False),
)

sighted = Table(
    "trueup_sighted",
    metadata,
    *_of_table(),
    Column("since", SECONDS, nullable=False),
)

lost = Table(
    "trueup_lost", metadata, *_of_table(), Column("follower", Text, primary_key=True),
    Column("cause", Text), Column("detail", Text), Column("at", SECONDS), Column("since", SECONDS),
)  # fmt: skip

marks = Table(
    "trueup_marks",
    metadata,
    Column("group_name", Text, primary_key=True),
    Column("source", Text, primary_key=True),
    Column("key_hash", Text, primary_key=True),
    Column("schema_name", Text, nullable=False),
    Column("table_name", Text, nullable=False),
    Column("key", Text),
    Column("sequence", Big, nullable=False),
    Column("at", SECONDS, nullable=False),
    Index("trueup_marks_since", "group_name", "source", "schema_name", "table_name", "sequence"),
    sqlite_with_rowid=False,
)

dirty = Table(
    "trueup_dirty",
    metadata,
    Column("group_name", Text, primary_key=True),
    Column("range_hash", Text, primary_key=True),
    Column("schema_name", Text, nullable=False),
    Column("table_name", Text, nullable=False),
    Column("lower", Text),
    Column("upper", Text),
    Column("commit_position", Text, nullable=False),
    Column("generation", Big, nullable=False),
    Column("since", SECONDS, nullable=False),
    Column("at", SECONDS, nullable=False),
    Index("trueup_dirty_oldest", "group_name", "since"),
)

sources = Table(
    "trueup_sources",
    metadata,
    Column("group_name", Text, primary_key=True),
    Column("source", Text, primary_key=True),
    Column("offsets", Text, nullable=False),
    Column("read_through", Text),
    Column("sequence", Big, nullable=False),
)

baselines = Table(
    "trueup_baselines",
    metadata,
    Column("group_name", Text, primary_key=True),
    Column("run_id", Text, primary_key=True),
    Column("source", Text, primary_key=True),
    Column("sequence", Big, nullable=False),
    Column("told", Text, nullable=False),
    _of_run(),
)

scan_chunks = Table(
    "trueup_scan_chunks",
    metadata,
    Column("group_name", Text, primary_key=True),
    Column("schema_name", Text, primary_key=True),
    Column("table_name", Text, primary_key=True),
    Column("chunk_index", Big, primary_key=True, autoincrement=False),
    Column("follower", Text, primary_key=True),
    *_chunk_columns(),
    Index("trueup_scan_chunks_oldest", "group_name", "schema_name", "table_name", "at"),
)

repairs = Table(
    "trueup_repairs",
    metadata,
    Column("sequence", Big, primary_key=True),
    Column("group_name", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("drift_id", Text, nullable=False),
    Column("follower", Text, nullable=False),
    Column("schema_name", Text, nullable=False),
    Column("table_name", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("wanted", Text),
    Column("expected", Text),
    Column("planned_at", SECONDS, nullable=False),
    Column("state", Text, nullable=False),
    Column("changed_at", SECONDS, nullable=False),
    Column("actor", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("applied_at", SECONDS),
    UniqueConstraint("group_name", "id", name="trueup_repairs_once"),
    Index("trueup_repairs_state", "group_name", "state", "sequence"),
    Index("trueup_repairs_applied", "group_name", "applied_at"),
    Index("trueup_repairs_drift", "group_name", "drift_id"),
)

outbox = Table(
    "trueup_outbox",
    metadata,
    Column("sequence", Big, primary_key=True),
    Column("group_name", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("topic", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("sent_at", SECONDS),
    UniqueConstraint("group_name", "id", name="trueup_outbox_once"),
    Index("trueup_outbox_pending", "group_name", "sent_at", "sequence"),
)

audit = Table(
    "trueup_audit",
    metadata,
    Column("group_name", Text, primary_key=True),
    Column("sequence", Big, primary_key=True, autoincrement=False),
    Column("at", SECONDS, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("previous", Text, nullable=False),
    Column("hash", Text, nullable=False),
)

leases = Table(
    "trueup_leases",
    metadata,
    Column("group_name", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("token", Big, nullable=False),
    Column("expires_at", SECONDS, nullable=False),
)

pauses = Table(
    "trueup_pauses",
    metadata,
    *_of_table(),
    Column("since", SECONDS, nullable=False),
    Column("actor", Text, nullable=False),
)
