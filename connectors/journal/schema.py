"""Bringing a journal's schema up to date with Alembic.

Alembic is loaded only to migrate a journal that is there: opening an up-to-date one costs two small queries, and a
new SQLite file, which most audits begin with, gets what the migrations would make of it (`fresh_sqlite.sql`; a test
compares the two) in a tenth of the time.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from connectors.journal.store import WRITES
from verifier.errors import Misconfigured

VERSION_TABLE = "trueup_schema"

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009")
"""Every revision that this program knows, oldest first; a test compares it with the migrations."""

FRESH = Path(__file__).with_name("fresh_sqlite.sql")
"""The statements of a new SQLite journal, parted by empty lines."""

_LOCK = 0x7472_7565_7570  # "trueup": one process migrates a PostgreSQL journal, the others wait


def bring_up_to_date(engine: Engine, name: str) -> None:
    """Create or upgrade the tables in one transaction. Misconfigured if the database is something else's or was
    written by a newer trueup."""
    with engine.begin() as connection:
        if _revision(connection, name) == REVISIONS[-1]:
            return
    with engine.execution_options(**{WRITES: True}).begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        found = _revision(connection, name)
        if found is None and connection.dialect.name == "sqlite":
            _create(connection)
        elif found != REVISIONS[-1]:
            upgrade(connection)


def _revision(connection: Connection, name: str) -> str | None:
    """The revision found; None for an empty database."""
    if not inspect(connection).has_table(VERSION_TABLE):
        if connection.dialect.name == "sqlite" and (others := inspect(connection).get_table_names()):
            raise Misconfigured(
                f"journal {name}: this SQLite file belongs to something else (it has the table {others[0]!r} and no "
                f"{VERSION_TABLE!r}): name another file"
            )
        return None
    found = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()
    if found is not None and found not in REVISIONS:
        raise Misconfigured(
            f"journal {name}: it was written by a newer trueup (schema {found}, this program knows up to "
            f"{REVISIONS[-1]}): upgrade trueup, or name another journal"
        )
    return None if found is None else str(found)


def _create(connection: Connection) -> None:
    for statement in FRESH.read_text(encoding="utf-8").split("\n\n"):
        connection.exec_driver_sql(statement)
    connection.execute(text(f"INSERT INTO {VERSION_TABLE} VALUES (:latest)"), {"latest": REVISIONS[-1]})


def upgrade(connection: Connection) -> None:
    """Run the migrations that the journal lacks, on this connection and in its transaction."""
    from alembic import command
    from alembic.config import Config

    settings = Config()
    settings.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    settings.set_main_option("path_separator", "os")
    settings.attributes["connection"] = connection
    command.upgrade(settings, "head")
