"""What was touched since a run: marks, a follower's own stream, and where each stood when a run began."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "trueup_marks",
        sa.Column("group_name", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("key_hash", sa.Text(), nullable=False),
        sa.Column("schema_name", sa.Text(), nullable=False),
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("key", sa.Text()),
        sa.Column("sequence", big, nullable=False),
        sa.Column("at", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint("group_name", "source", "key_hash"),
        sqlite_with_rowid=False,
    )
    columns = ["group_name", "source", "schema_name", "table_name", "sequence"]
    op.create_index("trueup_marks_since", "trueup_marks", columns)
    op.create_table(
        "trueup_sources",
        sa.Column("group_name", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("offsets", sa.Text(), nullable=False),
        sa.Column("read_through", sa.Text()),
        sa.Column("sequence", big, nullable=False),
        sa.PrimaryKeyConstraint("group_name", "source"),
    )
    op.create_table(
        "trueup_baselines",
        sa.Column("group_name", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("sequence", big, nullable=False),
        sa.Column("told", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("group_name", "run_id", "source"),
        sa.ForeignKeyConstraint(
            ["group_name", "run_id"],
            ["trueup_runs.group_name", "trueup_runs.id"],
            name="trueup_baselines_belongs",
            ondelete="CASCADE",
        ),
    )
