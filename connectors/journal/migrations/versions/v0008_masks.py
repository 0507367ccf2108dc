"""The secret by which a group's masked values are masked."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("trueup_groups", sa.Column("mask_salt", sa.Text()))
