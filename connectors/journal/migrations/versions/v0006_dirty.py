"""Chunks that changed since they were looked at."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "trueup_dirty",
        sa.Column("group_name", sa.Text(), nullable=False),
        sa.Column("range_hash", sa.Text(), nullable=False),
        sa.Column("schema_name", sa.Text(), nullable=False),
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("lower", sa.Text()),
        sa.Column("upper", sa.Text()),
        sa.Column("commit_position", sa.Text(), nullable=False),
        sa.Column("generation", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("since", sa.Float(53), nullable=False),
        sa.Column("at", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint("group_name", "range_hash"),
    )
    op.create_index("trueup_dirty_oldest", "trueup_dirty", ["group_name", "since"])
