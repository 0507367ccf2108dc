"""Run by Alembic: migrate on the connection, and inside the transaction, that `connectors.journal.schema` opened."""

from __future__ import annotations

from alembic import context

from connectors.journal.schema import VERSION_TABLE
from connectors.journal.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
