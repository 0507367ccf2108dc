"""Why a row drifted, and since which change of the leader."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("trueup_drifts", "trueup_run_drifts"):
        op.add_column(table, sa.Column("cause", sa.Text()))
        op.add_column(table, sa.Column("since", sa.Text()))
