"""One replication connection, on libpq itself: psycopg 3 has no replication API, but its `pq` layer passes everything.

A walsender of a database takes plain SQL (simple protocol, answers as text) until `START_REPLICATION` turns the
connection into a two-way copy. The session pins what the text of values depends on, so that the stream writes values
as a replica's `column::text` does. Driver errors end here: they become `Temporary`, `Unreachable`, `Forbidden` or
`Permanent`, and never carry the connection string.
"""

from __future__ import annotations

import contextlib
import select
from collections.abc import Sequence
from typing import TypeAlias

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from connectors.postgres.pins import TEXT
from verifier.errors import Forbidden, Misconfigured, Permanent, Temporary, TrueupError, Unreachable

Answer: TypeAlias = list[tuple[str | None, ...]]

# Beside the text of values: the encoding, and a limit for the SQL before streaming (milliseconds), which ends with it.
_SESSION = {"client_encoding": "UTF8", **TEXT, "statement_timeout": "60000", "lock_timeout": "10000"}
# A peer that vanished without a word is noticed by the kernel within about half a minute.
_LIVENESS = {
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "4",
    "tcp_user_timeout": "30000",
}
_OK = (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COPY_BOTH)


class Refused(Permanent):
    """The server understood and refused; `sqlstate` says why, five characters."""

    def __init__(self, message: str, sqlstate: str) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


def conninfo(url: str, *, application: str, replication: bool) -> str:
    """The libpq connection string of a URL (`postgresql://…`, also SQLAlchemy's `postgresql+psycopg://…`) or of a
    connection string; Misconfigured if it is neither."""
    scheme, colon, rest = url.partition("://")
    plain = f"{scheme.partition('+')[0]}{colon}{rest}" if colon else url
    try:
        given = conninfo_to_dict(plain)
    except psycopg.ProgrammingError:
        # The driver's message repeats the string, which may hold a password.
        raise Misconfigured("the leader's address is no postgresql url and no connection string") from None
    options = " ".join(f"-c {name}={value}" for name, value in _SESSION.items())
    wanted = _LIVENESS | {"application_name": application} | {k: str(v) for k, v in given.items() if v is not None}
    wanted["options"] = f"{wanted.get('options', '')} {options}".strip()
    if replication:
        wanted["replication"] = "database"
    return make_conninfo(**wanted)


class Wire:
    """A connection that answers SQL, and streams after `stream`. Not safe for several threads."""

    def __init__(self, info: str, *, name: str) -> None:
        """Connect; Unreachable or Forbidden."""
        self._name = name
        self._conn = pq.PGconn.connect(info.encode())
        if self._conn.status != pq.ConnStatus.OK:
            message = _one_line(self._conn.get_error_message())
            self._conn.finish()
            raise _connection_error(f"cannot open a replication connection to {name}: {message}", message)
        self._escape = pq.Escaping(self._conn)

    @property
    def version(self) -> int:
        """As libpq counts: 150018 for 15.18."""
        return self._conn.server_version

    def literal(self, text: str) -> str:
        return self._escape.escape_literal(text.encode()).decode()

    def identifier(self, text: str) -> str:
        return self._escape.escape_identifier(text.encode()).decode()

    def ask(self, sql: str) -> Answer:
        """Run one statement or replication command; the rows as text. Refused, or Temporary if the server went."""
        result = self._conn.exec_(sql.encode())
        self._check(result, sql)
        return [
            tuple(_text(result.get_value(row, column)) for column in range(result.nfields))
            for row in range(result.ntuples)
        ]

    def stream(self, command: str) -> None:
        """Enter the two-way copy by `START_REPLICATION …`; from then on only `receive` and `send`."""
        self.ask("set statement_timeout = 0")
        result = self._conn.exec_(command.encode())
        self._check(result, command)
        if result.status != pq.ExecStatus.COPY_BOTH:
            raise Permanent(f"{self._name} does not stream: it answered {pq.ExecStatus(result.status).name.lower()}")
        self._conn.nonblocking = 1

    def receive(self) -> bytes | None:
        """The next frame that has arrived, or None. Refused or Temporary when the stream ended."""
        try:
            size, data = self._conn.get_copy_data(1)
            if size > 0:
                return bytes(data)
            if size == 0:
                return None
            result = self._conn.get_result()
        except psycopg.Error as error:
            raise Temporary(f"the stream from {self._name} broke: {_one_line(str(error))}") from error
        if result is not None:
            self._check(result, "the stream")
        raise Temporary(f"{self._name} ended the stream")

    def wait(self, seconds: float) -> bool:
        """Wait until something arrived, and take it in; False if nothing did."""
        try:
            readable, _, _ = select.select([self._conn.socket], [], [], max(seconds, 0.0))
            if readable:
                self._conn.consume_input()
        except (psycopg.Error, OSError, ValueError) as error:
            raise Temporary(f"the connection to {self._name} is lost: {_one_line(str(error))}") from error
        return bool(readable)

    def send(self, frame: bytes) -> None:
        """Send a frame of a few bytes; what does not fit into the socket now goes with the next one."""
        try:
            self._conn.put_copy_data(frame)
            self._conn.flush()
        except psycopg.Error as error:
            raise Temporary(f"the connection to {self._name} is lost: {_one_line(str(error))}") from error

    def close(self) -> None:
        """Hang up: the walsender sees the end of the connection and leaves the slot as it was last told."""
        with contextlib.suppress(psycopg.Error):
            self._conn.finish()

    def _check(self, result: pq.abc.PGresult, what: str) -> None:
        if result.status in _OK:
            return
        state = (result.error_field(pq.DiagnosticField.SQLSTATE) or b"").decode()
        message = _one_line((result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or result.error_message).decode())
        raise _statement_error(f"{self._name} refused `{what[:120]}`: {message} ({state or 'no sqlstate'})", state)


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode()


def _one_line(message: str) -> str:
    return " ".join(message.split())


def _statement_error(message: str, state: str) -> TrueupError:
    if state == "42501":
        return Forbidden(message)
    # Classes: no connection, resources, operator intervention; object in use; lock; no state: the server is gone.
    if not state or state[:2] in ("08", "53", "57", "58") or state in ("55006", "55P03"):
        return Temporary(message)
    return Refused(message, state)


def _connection_error(message: str, reason: str) -> TrueupError:
    """libpq gives no state for a failed connection, so its words decide; when in doubt it may work later."""
    if _any_of(reason, ("starting up", "shutting down", "recovery mode", "too many", "exceeds max_wal_senders")):
        return Unreachable(message)
    if _any_of(reason, ("must be superuser or replication role", "permission denied", "REPLICATION attribute")):
        return Forbidden(f"{message}; run: alter role <user> replication")
    if _any_of(reason, ("authentication failed", "no pg_hba.conf entry", "no password supplied", "does not exist")):
        return Forbidden(message)
    return Unreachable(message)


def _any_of(text: str, words: Sequence[str]) -> bool:
    return any(word in text for word in words)
