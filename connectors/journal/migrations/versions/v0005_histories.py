"""The changes that led to a drift, as they were remembered when its cause was looked into."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("trueup_drifts", sa.Column("history", sa.Text()))
