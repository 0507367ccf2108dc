"""Whether a leader's binlog can serve as a change stream, where it stands, and of which tables it tells everything."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from connectors.mysql.catalog import SYSTEM
from connectors.mysql.session import Session
from verifier.errors import Misconfigured, Permanent, Temporary
from verifier.gtid import Binlog, DomainGtids, GtidSet
from verifier.table import TableName

_log = logging.getLogger(__name__)
_VARIABLES: Final = (
    "log_bin", "binlog_format", "binlog_row_image", "binlog_row_metadata", "lower_case_table_names", "gtid_mode",
    "binlog_order_commits", "binlog_transaction_compression", "log_bin_compress", "gtid_strict_mode",
    "log_replica_updates", "log_slave_updates", "binlog_row_value_options", "binlog_checksum",
)  # fmt: skip
_OWNED_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Fault:
    """`fatal`: the stream cannot begin; else something will be missing, and is told as such."""

    what: str
    cure: str
    fatal: bool


@dataclass(frozen=True, slots=True)
class Settings:
    """The leader's variables by name, those that it has."""

    mariadb: bool
    values: Mapping[str, str]

    @property
    def fold(self) -> bool:
        """Whether names of tables are kept in lower case."""
        return self.values.get("lower_case_table_names", "0") != "0"

    def faults(self) -> Iterator[Fault]:
        if not self._on("log_bin"):
            yield Fault("the server writes no binlog (log_bin is off)", "set log_bin, and restart the server", True)
        if self.values.get("binlog_format") != "ROW":
            yield Fault(
                f"binlog_format is {self.values.get('binlog_format')}: what is logged as a statement blinds the stream",
                "set global binlog_format = 'ROW'",
                False,
            )
        metadata = self.values.get("binlog_row_metadata")
        if metadata != "FULL":
            yield Fault(
                f"binlog_row_metadata is {metadata or 'not known to this version'}: rows come without names of columns",
                "set global binlog_row_metadata = 'FULL' (MariaDB 10.5, MySQL 8.0.1 and later)",
                True,
            )
        image = self.values.get("binlog_row_image")
        if image not in ("FULL", "FULL_NODUP"):
            yield Fault(
                f"binlog_row_image is {image}: after-images of hot keys are not whole, and keys other than the primary "
                "one are not logged",
                "set global binlog_row_image = 'FULL'",
                False,
            )
        if self.values.get("binlog_checksum") == "NONE":
            yield Fault(
                "binlog_checksum is NONE: whether an event came as it was written cannot be told",
                "set global binlog_checksum = 'CRC32'",
                False,
            )
        yield from self._mariadb_faults() if self.mariadb else self._mysql_faults()

    def replica_faults(self) -> Iterator[Fault]:
        """Why a replica's own binlog cannot tell what did not come from its leader."""
        yield from self.faults()
        if not any(self._on(name) for name in ("log_replica_updates", "log_slave_updates")):
            yield Fault(
                "the replica's binlog holds nothing that came by replication (log_replica_updates is off): what came "
                "from another server than the leader would go by untold",
                "set log_replica_updates (MariaDB: log_slave_updates), and restart the server",
                True,
            )

    def _mysql_faults(self) -> Iterator[Fault]:
        if self.values.get("gtid_mode") != "ON":
            yield Fault(
                f"gtid_mode is {self.values.get('gtid_mode')}: transactions have no ids that the replicas share",
                "set gtid_mode = ON and enforce_gtid_consistency = ON",
                True,
            )
        if self._on("binlog_transaction_compression"):
            yield Fault(
                "binlog_transaction_compression is on: compressed transactions are not read, and blind the stream",
                "set global binlog_transaction_compression = OFF",
                False,
            )
        if options := self.values.get("binlog_row_value_options"):
            yield Fault(
                f"binlog_row_value_options is {options}: of a changed document only the change is logged, which is no "
                "row; such an update blinds its table",
                "set global binlog_row_value_options = ''; sessions that are open keep the old one",
                False,
            )
        if self.values.get("binlog_order_commits", "ON").upper() in ("OFF", "0"):
            yield Fault(
                "binlog_order_commits is off: commits are shown in another order than they are logged; each is "
                "asked for by its own id, so nothing is misjudged, and more keys are in flight",
                "set global binlog_order_commits = ON, if nothing speaks against it",
                False,
            )

    def _mariadb_faults(self) -> Iterator[Fault]:
        if not self._on("gtid_strict_mode"):
            yield Fault(
                "gtid_strict_mode is off: ids of one domain may come out of order",
                "set global gtid_strict_mode = ON",
                False,
            )
        if self._on("log_bin_compress"):
            yield Fault(
                "log_bin_compress is on: compressed events are not read, and blind the stream",
                "set global log_bin_compress = OFF",
                False,
            )

    def _on(self, name: str) -> bool:
        return self.values.get(name, "").upper() in ("ON", "1", "YES")


def settings(session: Session, *, mariadb: bool) -> Settings:
    listed = ", ".join(f"'{name}'" for name in _VARIABLES)
    found = session.all(f"show global variables where variable_name in ({listed})")
    return Settings(mariadb, {str(name).lower(): str(value) for name, value in found})


def require(found: Settings, where: str, *, replica: bool = False) -> None:
    """Misconfigured if the stream cannot begin; of a `replica` its own binlog is read."""
    for fault in found.replica_faults() if replica else found.faults():
        if fault.fatal:
            raise Misconfigured(f"{where}: {fault.what}; {fault.cure}")


def told_of(found: Settings, where: str) -> None:
    """Log what the stream will lack."""
    for fault in found.faults():
        _log.warning("%s: %s", where, fault.what, extra={"action": "binlog_setting", "cure": fault.cure})


def granted(session: Session) -> Iterator[Fault]:
    """The rights that are missing, as far as the grants tell."""
    grants = " ".join(str(row[0]).upper() for row in session.all("show grants"))
    if "ALL PRIVILEGES ON *.*" in grants:
        return
    if "REPLICATION SLAVE" not in grants and "REPLICATION REPLICA" not in grants:
        yield Fault("the user may not read the binlog", "GRANT REPLICATION SLAVE ON *.* to trueup's user", True)
    if not any(right in grants for right in ("REPLICATION CLIENT", "BINLOG MONITOR", "SUPER")):
        yield Fault(
            "the user may not ask where the binlog ends", "GRANT REPLICATION CLIENT ON *.* to trueup's user", True
        )


def status(session: Session, where: str) -> tuple[Binlog, frozenset[str], frozenset[str]]:
    """Where the binlog ends, and the databases that alone are logged, or are not."""
    (version,) = session.one("select version()")
    renamed = "mariadb" not in str(version).lower() and _numbers(str(version)) >= (8, 2)
    told = session.named("show binary log status" if renamed else "show master status")
    if not told:
        raise Permanent(f"{where} writes no binlog; set log_bin")
    row = told[0]
    only, never = (
        frozenset(name for name in str(row.get(column) or "").split(",") if name)
        for column in ("binlog_do_db", "binlog_ignore_db")
    )
    return Binlog(str(row["file"]), int(row["position"])), only, never


def present(session: Session, where: str, *, mariadb: bool) -> tuple[Binlog, DomainGtids | GtidSet]:
    """A place in the binlog, and ids among which are those of all transactions at or before it, and no id that never
    comes. Temporary if transactions stay between the two steps."""
    place, _, _ = status(session, where)
    if mariadb:
        return place, DomainGtids.parse(session.one("select @@global.gtid_binlog_pos")[0])
    # What is being committed may lie before the place already, or may be rolled back: wait until it is decided.
    owned = _gtids(session, "gtid_owned")
    deadline = time.monotonic() + _OWNED_SECONDS
    while True:
        still = _gtids(session, "gtid_owned")
        executed = _gtids(session, "gtid_executed")
        undecided = owned.minus(executed)
        if undecided.minus(still) == undecided:
            return place, executed
        if time.monotonic() > deadline:
            raise Temporary(f"{where}: transactions {undecided} are being committed all the time; tried again")
        time.sleep(0.02)


def told(session: Session, where: str) -> dict[TableName, str]:
    """The tables of which the binlog tells every change of every row. The text changes where another table took the
    name. Not among them: what the leader keeps out of its binlog, and tables whose rows a foreign key of theirs changes
    (a cascade is no row event)."""
    _, only, never = status(session, where)
    cascades = {
        TableName(schema, name)
        for schema, name in session.all(
            "select constraint_schema, table_name from information_schema.referential_constraints "
            "where update_rule in ('CASCADE', 'SET NULL', 'SET DEFAULT') "
            "or delete_rule in ('CASCADE', 'SET NULL', 'SET DEFAULT')"
        )
    }
    tables = session.all(
        "select table_schema, table_name, create_time from information_schema.tables "
        f"where table_schema not in {SYSTEM} and table_type in ('BASE TABLE', 'SYSTEM VERSIONED') and engine = 'InnoDB'"
    )
    return {
        table: str(made)
        for table, made in ((TableName(schema, name), made) for schema, name, made in tables)
        if table not in cascades and (not only or table.schema in only) and table.schema not in never
    }


def _gtids(session: Session, variable: str) -> GtidSet:
    return GtidSet.parse(session.one(f"select @@global.{variable}")[0])


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.partition("-")[0].split(".") if part.isdigit())
