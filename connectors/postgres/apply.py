"""Writing one repair to a logical subscriber: compare-and-set, in one short transaction, tagged as trueup's own.

Guarded by text: the row must still spell every column as the plan saw it (`column::text`, byte by byte, under the same
pinned settings as the reads), which works for every type, those without an equality operator included. New values go in
as untyped parameters, so that the server assigns them: an explicit cast would silently cut or round what does not fit.
What was written is read back in the same statement; if it is not what was wanted (a trigger, a narrower type), the
transaction is rolled back.

The tag: `application_name` is `trueup-repair`, and a transactional logical message with prefix `trueup` and the
repair's id is written in the same transaction, so that a reader of the subscriber's log can tell repairs from others.

The login needs SELECT, INSERT, UPDATE and DELETE on the tables. Where it may also set `session_replication_role`
(superuser, or a GRANT SET ON PARAMETER from version 15 on), ordinary triggers and foreign keys stay silent, as they do
when replication itself writes; otherwise they run, and the note says so. Triggers that run see the search path
`pg_catalog`, as under replication: what they name must be qualified.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from sqlalchemy import create_engine

from connectors.postgres.errors import translated
from connectors.postgres.session import Session, Sessions
from connectors.postgres.writing import guarded, still_there
from reconciler.ports import Applied, Outcome
from reconciler.repair import Action, Repair
from reconciler.rows import plain
from verifier.canonical import differing_columns
from verifier.errors import Permanent, Unsound
from verifier.identity import key_text
from verifier.policy import Limits
from verifier.table import Table, TableName, Value

APPLICATION = "trueup-repair"
_SERVER = "select pg_is_in_recovery(), system_identifier::text from pg_control_system()"
_TAG = "select pg_logical_emit_message(true, 'trueup', %s)"
_SILENCE = "set local session_replication_role = replica"
_TRIGGERS_RAN = "the follower's own triggers and foreign keys ran: the login may not set session_replication_role"
# Classes of SQLSTATE: data, constraints, triggers, definitions, what is not supported, what functions raise.
_REFUSED = {"09", "0A", "21", "22", "23", "27", "38", "39", "42", "44", "P0"}
_REFERENCES = """
select cn.nspname, c.relname, pn.nspname, p.relname from pg_constraint f
join pg_class c on c.oid = f.conrelid join pg_namespace cn on cn.oid = c.relnamespace
join pg_class p on p.oid = f.confrelid join pg_namespace pn on pn.oid = p.relnamespace
where f.contype = 'f' and f.conparentid = 0
"""


@dataclass(frozen=True, slots=True)
class WriteLimits:
    """Seconds that one repair may take, and may wait for a lock."""

    statement_seconds: float = 5.0
    lock_seconds: float = 1.0
    connect_seconds: int = 5


class PostgresRepairSink:
    """`reconciler.ports.RepairSink` for a logical subscriber. One connection; one repair at a time.

    `leader_system` is the leader's system identifier (`Identity.system`): a server that carries it is never written.
    """

    def __init__(
        self, url: str, *, leader_system: str, fire_triggers: bool = False, limits: WriteLimits | None = None
    ) -> None:
        self._limits = limits or WriteLimits()
        self._leader_system, self._fire_triggers = leader_system, fire_triggers
        # The pool of readers lends the URL's spelling and the pinned settings; it opens no connection of its own.
        self._readers = Sessions(url, Limits(1, self._limits.connect_seconds, self._limits.statement_seconds))
        self._engine = create_engine(
            self._readers.url,
            isolation_level="AUTOCOMMIT",
            pool_size=1,
            max_overflow=0,
            pool_pre_ping=True,
            connect_args={
                "application_name": APPLICATION,
                "client_encoding": "UTF8",
                "connect_timeout": self._limits.connect_seconds,
                "tcp_user_timeout": 15000,
                "prepare_threshold": None,
            },
        )

    def apply(self, table: Table, repair: Repair) -> Applied:
        """Write the repair, or say why not; nothing is written unless the outcome is `applied`.

        Temporary if the server is busy or away (after a connection lost at commit, nobody knows whether it was
        written: read the row). Forbidden if a right is missing. Permanent on a standby, Unsound on the leader.
        """
        doing = f"repairing {table.name} key {key_text(repair.key)}"
        with translated(doing, self._readers.where), self._connection() as connection:
            try:
                with connection.transaction():
                    self._check_server(connection)
                    note = self._prepare(connection, repair)
                    written = self._write(connection, table, repair)
            except _RolledBack as rolled:
                return rolled.applied
            except psycopg.Error as error:
                if not _refusal(error):
                    raise
                return Applied(Outcome.FAILED, _said(error))
        return Applied(written, note)

    def statement(self, table: Table, repair: Repair) -> str:
        """The statement that `apply` runs, with its values inlined. Run by hand it changes one row or none (none too if
        the session spells values differently: another time zone, for example)."""
        return guarded(table, repair, inline=True).query.as_string(None) + ";"

    def references(self) -> Mapping[TableName, frozenset[TableName]]:
        """Which tables each table's foreign keys refer to, for `reconciler.order`."""
        found: dict[TableName, set[TableName]] = {}
        with translated("reading foreign keys", self._readers.where), self._connection() as connection:
            for schema, name, parent_schema, parent in connection.execute(_REFERENCES):
                found.setdefault(TableName(schema, name), set()).add(TableName(parent_schema, parent))
        return {table: frozenset(parents) for table, parents in found.items()}

    def close(self) -> None:
        self._engine.dispose()
        self._readers.close()

    @contextmanager
    def _connection(self) -> Iterator[psycopg.Connection[Any]]:
        lent = self._engine.raw_connection()
        driver = lent.driver_connection
        assert isinstance(driver, psycopg.Connection)
        try:
            self._readers.pin(Session(driver))
            driver.execute("set default_transaction_read_only = off")
            yield driver
        finally:
            if driver.closed or driver.broken:
                lent.invalidate()
            lent.close()

    def _check_server(self, connection: psycopg.Connection[Any]) -> None:
        """Asked in every transaction, because a failover can turn a follower into a leader between two of them."""
        row = connection.execute(_SERVER).fetchone()
        assert row is not None
        standby, system = row
        where = self._readers.where
        if standby:
            raise Permanent(f"{where} is a physical standby and cannot be written; rebuild it, or repair its leader")
        if system == self._leader_system:
            raise Unsound(
                f"{where} has the leader's system identifier {system} and is not in recovery: it is the leader, or was "
                "promoted from a copy of it; nothing was written; correct the follower's URL"
            )

    def _prepare(self, connection: psycopg.Connection[Any], repair: Repair) -> str:
        """Limits, tag, triggers; returns a note for the record."""
        for name, seconds in (
            ("statement_timeout", self._limits.statement_seconds),
            ("lock_timeout", self._limits.lock_seconds),
        ):
            connection.execute("select set_config(%s, %s, true)", (name, f"{max(1, round(seconds * 1000))}ms"))
        note = "" if self._fire_triggers or self._silenced(connection) else _TRIGGERS_RAN
        connection.execute(_TAG, (repair.id,))
        return note

    def _silenced(self, connection: psycopg.Connection[Any]) -> bool:
        try:
            with connection.transaction():
                connection.execute(_SILENCE)
        except psycopg.errors.InsufficientPrivilege:
            return False
        return True

    def _write(self, connection: psycopg.Connection[Any], table: Table, repair: Repair) -> Outcome:
        statement = guarded(table, repair, inline=False)
        cursor = connection.execute(statement.query, statement.values)
        row = cursor.fetchone()
        if row is None:
            raise _RolledBack(self._unwritten(connection, table, repair))
        if repair.wanted is not None:
            names = [column.name for column in plain(table).columns]
            stored: dict[str, Value] = dict(zip(names, row, strict=True))
            changed = sorted(differing_columns(plain(table), repair.wanted, stored))
            if changed:
                note = f"the follower stores something else in {', '.join(changed)} (a trigger or a narrower type)"
                raise _RolledBack(Applied(Outcome.FAILED, note))
        return Outcome.APPLIED

    def _unwritten(self, connection: psycopg.Connection[Any], table: Table, repair: Repair) -> Applied:
        """No row was written: because it moved, or because the server swallowed the write?"""
        statement = still_there(table, repair)
        row = connection.execute(statement.query, statement.values).fetchone()
        if (row is not None) == (repair.action is not Action.INSERT):
            return Applied(Outcome.FAILED, "a trigger or rule on the follower suppressed the write")
        return Applied(Outcome.STALE)


class _RolledBack(Exception):
    """Leaves the transaction without committing."""

    def __init__(self, applied: Applied) -> None:
        super().__init__(applied.note)
        self.applied = applied


def _refusal(error: psycopg.Error) -> bool:
    """Whether the server said no to this very row, so that other repairs may still succeed."""
    state = error.sqlstate or ""
    return state[:2] in _REFUSED and not isinstance(error, psycopg.errors.InsufficientPrivilege)


def _said(error: psycopg.Error) -> str:
    """What the server objected to: names only, for its sentences may quote values."""
    named = {
        "table": error.diag.table_name,
        "column": error.diag.column_name,
        "constraint": error.diag.constraint_name,
    }
    told = ", ".join(f"{what} {name}" for what, name in named.items() if name)
    return f"the server refused: {type(error).__name__}{', ' + told if told else ''} (SQLSTATE {error.sqlstate})"
