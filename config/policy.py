"""How hard trueup works, how patient it is, what it may repair and whom it tells."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, PlainSerializer, ValidationInfo

from config.kafka import KafkaAccess
from config.model import Condition, Count, Model, Share
from config.units import Duration


class Scan(Model):
    """Comparing everything, chunk by chunk."""

    chunk_time: Duration = 0.5
    """Chunks grow and shrink until reading one takes this long: short enough that no reader is noticed."""
    chunk_rows_max: Count = 400_000
    """No chunk is larger, however fast the server. One that differs is read by rows in parts of at most 100,000."""
    period: Duration = 86_400.0
    """The daemon compares every row at least once in this time, spread evenly."""
    rows_per_second: Count | None = None
    """Upper limit per group. Unset: what `period` needs; an audit runs without a limit."""
    statement_timeout: Duration = 30.0
    """Server-side limit of every statement that trueup sends."""
    lock_timeout: Duration = 1.0
    """A statement that would wait longer for a lock gives up instead of queueing before others."""
    connections: Count = 4
    """At most this many per server, for reading."""
    settle_timeout: Duration = 60.0
    """How long a suspect of an audit may stay in flight before it is called unverified."""


class LoadLimit(Model):
    """A number that your own SQL tells of a server's load, and what it must not pass."""

    sql: Condition
    """A SELECT whose first value is a number; asked on the leader, and on followers of its engine."""
    max: float
    """While it tells more, nothing is read."""


class Brakes(Model):
    """What holds the daemon's scan and audits back while it is so. The servers are asked twice a second."""

    running_max: Count | None = None
    """While more statements than this run on any server, trueup's own aside, nothing is read. Needs `pg_monitor` or
    `PROCESS`."""
    load: tuple[LoadLimit, ...] = ()
    """The same by your own SQL."""
    lag: Duration | None = None
    """While any follower that tells its position lags by more than this, nothing is read."""
    rows_per_second: Count | None = None
    """Of the leader's rows, all tables of an audit or of the group's scan together."""


class Verify(Model):
    """Comparing what the change stream says was touched."""

    every: Duration = 1.0
    """While changes keep coming they are looked at together, once in this time: what changed ten times in between is
    looked at once, and wrong rows are found this much later at most. A change after a rest is looked at, at once."""
    load: Share = 0.25
    """No more than this part of the time is spent looking at touched keys, per follower: where servers are slow or many
    tables change, looks are further apart, up to four times `every`."""
    batch_keys: Count = 1000
    """Keys per statement. Beyond some hundred, a statement's fixed cost no longer matters."""
    pending_max: Count = 5_000
    """Touched keys that are held in memory at a time, per follower; all others wait in the journal."""
    patience: Duration = 60.0
    """How long a key may stay in flight before it is counted and logged as unsettled. It stays in the journal, and gets
    another turn."""


class Lag(Model):
    """When lateness is worth telling."""

    warn: Duration = 10.0
    """Above this a follower is `lagging`."""
    stalled: Duration = 15.0
    """A follower that is behind and has not moved for so long is `stalled`. One that a sink feeds moves when the sink
    commits its offsets, which Kafka Connect does once a minute unless told otherwise."""
    max: Duration = 60.0
    """While a follower lags by more, its repairs pause, because it may correct itself."""


class Repairs(Model):
    """What is done about proven drift. Every repair is compare-and-set, audited and verified afterwards."""

    mode: Literal["off", "propose", "approve", "apply"] = "propose"
    """`off`: drift is only reported; `propose`: repairs are planned and announced; `approve`: and applied once a
    person approved; `apply`: applied at once, within the limits below."""
    policy: Literal["leader_wins"] = "leader_wins"
    """What a repaired row becomes."""
    per_hour: Count = 1000
    """More repairs than this in an hour stop repairing: a flood is a fault to understand, not to mend."""
    share_of_table: Share = 0.01
    """A table of which more than this part of the rows differs, and more than 100 rows, is not repaired row by row."""


def _path(value: Path | None, info: ValidationInfo) -> Path | None:
    return None if value is None else (info.context or {}).get("folder", Path()) / value.expanduser()


class Events(KafkaAccess):
    """Compensating events (CloudEvents): drift, repairs, violations. Where neither servers nor anything of security is
    given, Kafka is reached as the stream reaches it."""

    kind: Literal["none", "jsonl", "kafka"] = "none"
    """`jsonl` appends one event a line to a file; `kafka` sends to topics."""
    topic_prefix: str | None = None
    """Topics are `<prefix>.drift`, `.repairs`, `.violations`, `.dead-letters`. Unset: `trueup.<group>`."""
    path: Annotated[Path | None, AfterValidator(_path), PlainSerializer(lambda path: path and str(path))] = None
    """The file of `jsonl`, relative to the configuration file."""
    bootstrap_servers: str | None = None
    """Where `kafka` sends. Unset: the stream's servers."""
    client: Literal["confluent"] = "confluent"
    """The library that sends. kafka-python sends no message without key and value, as dead letters may have to be."""
    relay_every: Duration = 1.0
    """How often waiting events are sent."""


class Metrics(Model):
    """Limits of what is exported."""

    tables_max: Count = 200
    """Tables with series of their own per group; the rest is folded into `__other__`, drifting tables last."""


def _listen(value: str) -> str:
    host, colon, port = value.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise ValueError("must be 'host:port', such as '127.0.0.1:9187'")
    return value


class Http(Model):
    """Metrics and health."""

    listen: Annotated[str, AfterValidator(_listen)] = "127.0.0.1:9187"
    """`host:port`. Not reachable from elsewhere unless you say so; there is no login."""

    def place(self) -> tuple[str, int]:
        """Host and port; an IPv6 host without its brackets."""
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)


class Log(Model):
    """What is logged, to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important lines that are written."""
    format: Literal["auto", "text", "json"] = "auto"
    """`auto` writes text to a terminal and JSON elsewhere."""
