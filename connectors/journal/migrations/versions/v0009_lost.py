"""What a follower's own log lost sight of."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "trueup_lost",
        sa.Column("group_name", sa.Text(), nullable=False),
        sa.Column("schema_name", sa.Text(), nullable=False),
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("follower", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text()),
        sa.Column("detail", sa.Text()),
        sa.Column("at", sa.Float(53)),
        sa.Column("since", sa.Float(53)),
        sa.PrimaryKeyConstraint("group_name", "schema_name", "table_name", "follower"),
    )
