"""Which drift was found since its repairs were last planned, and which repairs a drift has."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("trueup_groups", sa.Column("findings", _BIG))
    op.add_column("trueup_drifts", sa.Column("finding", _BIG))
    op.create_index("trueup_drifts_finding", "trueup_drifts", ["group_name", "state", "follower", "finding"])
    op.create_index("trueup_repairs_drift", "trueup_repairs", ["group_name", "drift_id"])
