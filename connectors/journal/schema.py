"""Bringing a journal's schema up to date with Alembic.

Alembic is loaded only when there is something to do: opening an up-to-date journal costs two small queries.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from connectors.journal.store import WRITES
from verifier.errors import Misconfigured

VERSION_TABLE = "trueup_schema"

REVISIONS = ("0001",)
"""Every revision that this program knows, oldest first; a test compares it with the migrations."""

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
        if _revision(connection, name) != REVISIONS[-1]:
            _upgrade(connection)


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


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    settings = Config()
    settings.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    settings.set_main_option("path_separator", "os")
    settings.attributes["connection"] = connection
    command.upgrade(settings, "head")
