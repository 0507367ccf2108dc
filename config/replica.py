"""The databases of a group and what of them is compared."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from config.address import DatabaseAddress
from config.model import Columns, Condition, Filtered, Model, Name, TableText
from config.secret import Password
from config.stream import BinlogStream, PgoutputStream
from config.tolerance import Tolerance, TolerancePlace
from verifier.tolerance import Tolerance as Kept


class Leader(Model):
    """The database that is right by definition. Never written to, but for the watermark if it says `write`."""

    name: Name = "leader"
    """What reports and metrics call it."""
    url: DatabaseAddress
    """Where it is: `postgresql://user@host:5432/database`."""
    password: Password | None = None
    """`env:NAME` or `file:/path`; replaces a password in the URL. Unset: the URL's, or the driver's own means."""

    def address(self) -> str:
        """The URL to connect with, its password looked up now. Misconfigured if the reference leads nowhere."""
        return self.url.url(self.password)


class RepairLogin(Model):
    """Who may write to a follower; kept apart so that comparing needs no right to write."""

    url: DatabaseAddress | None = None
    """Unset: the follower's own."""
    user: str | None = None
    """Unset: the URL's user."""
    password: Password | None = None
    """`env:NAME` or `file:/path`."""


class FollowerStream(Model):
    """A follower's own change stream: what was written there and did not come from the leader. Such rows are verified
    at once, and `trueup audit --since` knows from it what it need not look at."""

    kind: Literal["pgoutput", "binlog"] = "pgoutput"
    """How it is read. pgoutput: a PostgreSQL subscriber, with `wal_level = logical` and a login that may replicate.
    binlog: a replica of MariaDB or MySQL, with what a followed leader needs and `log_replica_updates`."""
    pgoutput: PgoutputStream | None = None
    """Slot and publication on the subscriber; unset means the defaults."""
    binlog: BinlogStream | None = None
    """For `kind: binlog`; unset means its defaults."""


class FedBy(Model):
    """What brings the leader's changes to a follower that does not follow by itself. It must read the topics of the
    group's own stream (`kind: kafka`)."""

    kafka_connect_sink: Name
    """The name of a sink in Kafka Connect that writes rows by key and commits what it has written, as Debezium's JDBC
    sink does. How far it is, is told by what its consumer group has committed: the worker's
    `offset.flush.interval.ms` (a minute unless set) is how late that is told."""
    consumer_group: str | None = None
    """The sink's consumer group. Unset: `connect-` and its name, as Kafka Connect calls it."""

    @property
    def group(self) -> str:
        return self.consumer_group or f"connect-{self.kafka_connect_sink}"


class Follower(Model):
    """A database that must equal the leader."""

    name: Name
    """What reports and metrics call it; unique within the group."""
    url: DatabaseAddress
    """Where it is."""
    password: Password | None = None
    """`env:NAME` or `file:/path`; replaces a password in the URL."""
    subscription: str | None = None
    """The subscription through which a logical subscriber follows. Unset: the only one that it has."""
    fed_by: FedBy | None = None
    """The sink that feeds it; it may then be of another engine than the leader. Unset: it follows by itself."""
    stream: FollowerStream | None = None
    """Its own change stream. Unset: what is written on the follower alone is found by the scan."""
    repair: RepairLogin | None = None
    """How repairs are written. Unset: with the login that reads."""

    def address(self) -> str:
        """The URL to read with, its password looked up now. Misconfigured if the reference leads nowhere."""
        return self.url.url(self.password)

    def repair_address(self) -> str:
        """The URL to write repairs with, its password looked up now."""
        login = self.repair
        if login is None:
            return self.address()
        password = login.password or (self.password if login.url is None and login.user is None else None)
        return (login.url or self.url).url(password, login.user)


class Tables(Model):
    """Which tables and columns are compared. What is excluded or tolerated is printed in every report."""

    include: tuple[str, ...] = Field(default=("*",), min_length=1)
    """Patterns `schema.table` with `*` and `?`; without a dot in any schema that is not the system's."""
    exclude: tuple[str, ...] = ()
    """Patterns of tables to leave out; they win over `include`."""
    exclude_columns: dict[TableText, Columns] = Field(default={})
    """Columns that may differ, by table."""
    mask_columns: dict[TableText, Columns] = Field(default={}, examples=[{"public.customers": ["email"]}])
    """Columns, by table, that are compared and whose values nobody is told: findings, reports, events, previewed
    statements, `trueup trace` and samples of invariants (whose answer calls a column so) show a keyed hash in their
    place, by a secret that the journal keeps. Repairs and their audit lines hold whole rows in the journal, without
    which they could not be undone, and a dead letter is its message whole. No column of a key can be masked: its table
    is not compared then."""
    keys: dict[TableText, Columns] = Field(default={}, examples=[{"public.v": ["id"]}])
    """Key columns of tables without a primary or unique not-null key. Where rows share one and differ, the table is
    `unverified`."""
    tolerances: dict[TolerancePlace, Tolerance] = Field(
        default={}, examples=[{"*": {"time_digits": 3}, "public.orders.ratio": {"float_relative": 1e-9}}]
    )
    """What values may differ by and be equal all the same, by place: `*` for all tables, a table, or `table.column`,
    which wins setting by setting over its table, and that over `*`."""

    columns: dict[TableText, Columns] = Field(default={}, examples=[{"public.orders": ["id", "amount"]}])
    """Compare only these columns (and the key), by table. For audits: `trueup run` refuses it."""
    where: dict[Filtered, Condition] = Field(default={}, examples=[{"public.orders": "region = 'eu'"}])
    """SQL conditions by table, `*` for every table without one of its own: only rows for which it is true are compared.
    Sent as it is to leader and follower; columns have the leader's names. For audits: `trueup run` refuses it."""
    map_tables: dict[TableText, TableText] = Field(default={}, examples=[{"public.*": "archive.*"}])
    """Tables that followers call otherwise: leader's name to follower's, or a pattern with `*` on both sides. For
    audits: `trueup run` refuses it."""
    map_columns: dict[TableText, dict[str, str]] = Field(default={}, examples=[{"public.orders": {"note": "remark"}}])
    """Columns that followers call otherwise, by the leader's table: leader's name to follower's. For audits:
    `trueup run` refuses it."""

    @field_validator("map_tables")
    @classmethod
    def _fit(cls, value: dict[str, str]) -> dict[str, str]:
        for leader, follower in value.items():
            if leader.count("*") != follower.count("*"):
                raise ValueError(f"{leader!r} and {follower!r} need the same number of *")
        return value

    def only_for_audits(self) -> list[str]:
        """The keys that are set and that a daemon cannot keep to: it repairs rows, and a row that leaves a condition
        would look like one to delete."""
        return [name for name in ("columns", "where", "map_tables", "map_columns") if getattr(self, name)]

    def tolerated(self) -> dict[str, Kept]:
        """`tolerances` as comparisons take them."""
        return {place: said.kept() for place, said in self.tolerances.items()}

    def patterns(self) -> tuple[str, ...]:
        """`include`, then `exclude` with a leading `!`."""
        return (*self.include, *(f"!{pattern}" for pattern in self.exclude))
