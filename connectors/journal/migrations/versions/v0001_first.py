"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
SECONDS = sa.Float(53)

REFUSAL = "the audit chain is append-only"


def upgrade() -> None:
    _runs()
    _run_findings()
    _drifts()
    _stream()
    _scan()
    _repairs()
    _audit()
    if op.get_context().dialect.name == "postgresql":
        _guard_postgres()
    else:
        _guard_sqlite()


def _guard_sqlite() -> None:
    """In SQLite INSERT OR REPLACE fires neither UPDATE nor DELETE triggers: the third trigger is for that."""
    for step in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER trueup_audit_no_{step.lower()} BEFORE {step} ON trueup_audit "
            f"BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
        )
    op.execute(
        "CREATE TRIGGER trueup_audit_no_replace BEFORE INSERT ON trueup_audit "
        "WHEN EXISTS (SELECT 1 FROM trueup_audit WHERE group_name = NEW.group_name AND sequence = NEW.sequence) "
        f"BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
    )


def _guard_postgres() -> None:
    op.execute(
        "CREATE FUNCTION trueup_audit_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{REFUSAL}'; END $$"
    )
    op.execute(
        "CREATE TRIGGER trueup_audit_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON trueup_audit "
        "FOR EACH STATEMENT EXECUTE FUNCTION trueup_audit_refuse()"
    )


def _runs() -> None:
    """Runs and their checkpoints."""
    op.create_table(
        "trueup_runs",
        sa.Column("group_name", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("started_at", SECONDS, nullable=False),
        sa.Column("settings", sa.Text(), nullable=False),
        sa.Column("finished_at", SECONDS, nullable=True),
        sa.Column("verdict", sa.Text(), nullable=True),
        sa.Column("report", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("group_name", "id"),
    )
    op.create_index("trueup_runs_recent", "trueup_runs", ["group_name", "started_at"], unique=False)
    op.create_table(
        "trueup_run_chunks",
        sa.Column("group_name", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("schema_name", sa.Text(), nullable=False),
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("chunk_index", BIG, autoincrement=False, nullable=False),
        sa.Column("follower", sa.Text(), nullable=False),
        sa.Column("lower", sa.Text(), nullable=True),
        sa.Column("upper", sa.Text(), nullable=True),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("leader_rows", BIG, nullable=False),
        sa.Column("leader_checksum", sa.Text(), nullable=False),
        sa.Column("follower_rows", BIG, nullable=False),
        sa.Column("follower_checksum", sa.Text(), nullable=False),
        sa.Column("drifted", BIG, nullable=False),
        sa.Column("unsettled", BIG, nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("seconds", SECONDS, nullable=False),
        sa.Column("at", SECONDS, nullable=False),
        sa.ForeignKeyConstraint(
            ["group_name", "run_id"],
            ["trueup_runs.group_name", "trueup_runs.id"],
            name=op.f("trueup_run_chunks_belongs"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("group_name", "run_id", "schema_name", "table_name", "chunk_index", "follower"),
    )


def _run_findings() -> None:
    """What each run found."""
    op.create_table(
        "trueup_run_tables",
        sa.Column("group_name", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("schema_name", sa.Text(), nullable=False),
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["group_name", "run_id"],
            ["trueup_runs.group_name", "trueup_runs.id"],
            name=op.f("trueup_run_tables_belongs"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("group_name", "run_id", "schema_name", "table_name"),
    )
    op.create_table(
        "trueup_run_drifts",
        sa.Column("sequence", BIG, nullable=False),
        sa.Column("group_name", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("follower", sa.Text(), nullable=False),
        sa.Column("schema_name", sa.Text(), nullable=False),
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("columns", sa.Text(), nullable=False),
        sa.Column("certainty", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("positions", sa.Text(), nullable=False),
        sa.Column("found_at", SECONDS, nullable=False),
        sa.ForeignKeyConstraint(
            ["group_name", "run_id"],
            ["trueup_runs.group_name", "trueup_runs.id"],
            name=op.f("trueup_run_drifts_belongs"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("sequence"),
        sa.UniqueConstraint("group_name", "run_id", "id", name="trueup_run_drifts_once"),
    )
    op.create_index(
        "trueup_run_drifts_order",
        "trueup_run_drifts",
        ["group_name", "run_id", "schema_name", "table_name", "sequence"],
        unique=False,
    )


def _drifts() -> None:
    """Every drifted key now known."""
    op.create_table(
        "trueup_drifts",
        sa.Column("group_name", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("follower", sa.Text(), nullable=False),
        sa.Column("schema_name", sa.Text(), nullable=False),
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("columns", sa.Text(), nullable=False),
        sa.Column("certainty", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("positions", sa.Text(), nullable=False),
        sa.Column("found_at", SECONDS, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("first_found_at", SECONDS, nullable=False),
        sa.Column("last_seen_at", SECONDS, nullable=False),
        sa.Column("cleared_at", SECONDS, nullable=True),
        sa.PrimaryKeyConstraint("group_name", "id"),
    )
    op.create_index(
        "trueup_drifts_oldest", "trueup_drifts", ["group_name", "state", "first_found_at", "id"], unique=False
    )
    op.create_index(
        "trueup_drifts_place",
        "trueup_drifts",
        ["group_name", "state", "follower", "schema_name", "table_name", "last_seen_at"],
        unique=False,
    )


def _stream() -> None:
    """Offsets and what they caused."""
    op.create_table(
        "trueup_stream",
        sa.Column("group_name", sa.Text(), nullable=False),
        sa.Column("offsets", sa.Text(), nullable=False),
        sa.Column("read_through", sa.Text(), nullable=True),
        sa.Column("generation", BIG, nullable=False),
        sa.PrimaryKeyConstraint("group_name"),
    )
    op.create_table(
        "trueup_touched",
        sa.Column("group_name", sa.Text(), nullable=False),
        sa.Column("follower", sa.Text(), nullable=False),
        sa.Column("key_hash", sa.Text(), nullable=False),
        sa.Column("schema_name", sa.Text(), nullable=False),
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("commit_position", sa.Text(), nullable=False),
        sa.Column("generation", BIG, nullable=False),
        sa.Column("touched_at", SECONDS, nullable=False),
        sa.PrimaryKeyConstraint("group_name", "follower", "key_hash"),
        sqlite_with_rowid=False,
    )
    op.create_index("trueup_touched_oldest", "trueup_touched", ["group_name", "follower", "generation"], unique=False)
    op.create_table(
        "trueup_blind",
        sa.Column("group_name", sa.Text(), nullable=False),
        sa.Column("schema_name", sa.Text(), nullable=False),
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("at", SECONDS, nullable=False),
        sa.PrimaryKeyConstraint("group_name", "schema_name", "table_name"),
    )
    op.create_table(
        "trueup_sighted",
        sa.Column("group_name", sa.Text(), nullable=False),
        sa.Column("schema_name", sa.Text(), nullable=False),
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("since", SECONDS, nullable=False),
        sa.PrimaryKeyConstraint("group_name", "schema_name", "table_name"),
    )


def _scan() -> None:
    """The daemon's endless scan."""
    op.create_table(
        "trueup_scan_chunks",
        sa.Column("group_name", sa.Text(), nullable=False),
        sa.Column("schema_name", sa.Text(), nullable=False),
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("chunk_index", BIG, autoincrement=False, nullable=False),
        sa.Column("follower", sa.Text(), nullable=False),
        sa.Column("lower", sa.Text(), nullable=True),
        sa.Column("upper", sa.Text(), nullable=True),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("leader_rows", BIG, nullable=False),
        sa.Column("leader_checksum", sa.Text(), nullable=False),
        sa.Column("follower_rows", BIG, nullable=False),
        sa.Column("follower_checksum", sa.Text(), nullable=False),
        sa.Column("drifted", BIG, nullable=False),
        sa.Column("unsettled", BIG, nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("seconds", SECONDS, nullable=False),
        sa.Column("at", SECONDS, nullable=False),
        sa.PrimaryKeyConstraint("group_name", "schema_name", "table_name", "chunk_index", "follower"),
    )
    op.create_index(
        "trueup_scan_chunks_oldest",
        "trueup_scan_chunks",
        ["group_name", "schema_name", "table_name", "at"],
        unique=False,
    )


def _repairs() -> None:
    """Groups, repairs and the outbox."""
    op.create_table(
        "trueup_groups",
        sa.Column("group_name", sa.Text(), nullable=False),
        sa.Column("audit_sequence", BIG, nullable=False),
        sa.Column("audit_hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("group_name"),
    )
    op.create_table(
        "trueup_repairs",
        sa.Column("sequence", BIG, nullable=False),
        sa.Column("group_name", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("drift_id", sa.Text(), nullable=False),
        sa.Column("follower", sa.Text(), nullable=False),
        sa.Column("schema_name", sa.Text(), nullable=False),
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("wanted", sa.Text(), nullable=True),
        sa.Column("expected", sa.Text(), nullable=True),
        sa.Column("planned_at", SECONDS, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("changed_at", SECONDS, nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("applied_at", SECONDS, nullable=True),
        sa.PrimaryKeyConstraint("sequence"),
        sa.UniqueConstraint("group_name", "id", name="trueup_repairs_once"),
    )
    op.create_index("trueup_repairs_applied", "trueup_repairs", ["group_name", "applied_at"], unique=False)
    op.create_index("trueup_repairs_state", "trueup_repairs", ["group_name", "state", "sequence"], unique=False)
    op.create_table(
        "trueup_outbox",
        sa.Column("sequence", BIG, nullable=False),
        sa.Column("group_name", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("sent_at", SECONDS, nullable=True),
        sa.PrimaryKeyConstraint("sequence"),
        sa.UniqueConstraint("group_name", "id", name="trueup_outbox_once"),
    )
    op.create_index("trueup_outbox_pending", "trueup_outbox", ["group_name", "sent_at", "sequence"], unique=False)


def _audit() -> None:
    """The append-only chain, and leases."""
    op.create_table(
        "trueup_audit",
        sa.Column("group_name", sa.Text(), nullable=False),
        sa.Column("sequence", BIG, autoincrement=False, nullable=False),
        sa.Column("at", SECONDS, nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("previous", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("group_name", "sequence"),
    )
    op.create_table(
        "trueup_leases",
        sa.Column("group_name", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("token", BIG, nullable=False),
        sa.Column("expires_at", SECONDS, nullable=False),
        sa.PrimaryKeyConstraint("group_name", "name"),
    )
