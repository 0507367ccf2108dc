"""What of a connector's events cannot be read, told from its configuration: each setting with its consequence and cure.

A connector that runs may still spell values so that they cannot be told, keep changes to itself, or send events in
another shape. Nothing of that is an error to Kafka Connect; here it gets a name. What is judged by the stream follows
from `capture.captured` and `Modes`, which obey the same settings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from connectors.debezium.modes import ENGINES, JDBC_SINK, Modes, engine
from connectors.remark import Remark

JSON = "org.apache.kafka.connect.json.JsonConverter"
_APICURIO = "io.apicurio.registry.utils.converter.AvroConverter"
_CONVERTERS = (JSON, "io.confluent.connect.avro.AvroConverter", _APICURIO)
_HARMLESS = {
    "org.apache.kafka.connect.transforms.InsertHeader",
    "org.apache.kafka.connect.transforms.DropHeaders",
    "io.debezium.transforms.ExtractChangedRecordState",
    "io.debezium.transforms.tracing.ActivateTracingSpan",
}
"""Transformations that change headers alone."""
_ELSEWHERE, _VALUES, _SHAPES = "sends events to other topics", "changes values", "changes the shape of events"
_TRANSFORMS = {
    "ExtractNewRecordState": "flattens events: what a change did, and its transaction, are lost",
    "EventRouter": "turns rows of an outbox into other messages",
    **dict.fromkeys(("RegexRouter", "ByLogicalTableRouter", "TopicRouter", "ContentBasedRouter", "TimestampRouter"),
                    _ELSEWHERE),
    **dict.fromkeys(("TimezoneConverter", "TimestampConverter", "MaskField", "Cast"), _VALUES),
    **dict.fromkeys(("HoistField", "Flatten", "ExtractField", "ReplaceField", "ValueToKey"), _SHAPES),
    "Filter": "drops events",
    "SchemaChangeEventFilter": "drops changes of tables' shapes",
    "PartitionRouting": "chooses partitions otherwise: the changes of a key lose their order",
}  # fmt: skip
_UNTOLD = "such columns are not told by events, and are read from the leader"


@dataclass(frozen=True, slots=True)
class _Rule:
    """A setting whose value should be `sound` (empty: that it be unset), and what follows if it is not. `binlog`: it
    concerns MariaDB and MySQL alone (True), PostgreSQL alone (False) or all."""

    name: str
    default: str
    sound: tuple[str, ...]
    level: str
    consequence: str
    cure: str = ""
    binlog: bool | None = None

    def broken(self, config: Mapping[str, str]) -> Remark | None:
        value = config.get(self.name, self.default).strip()
        if (value.lower() in self.sound) if self.sound else not value:
            return None
        said = f"{self.name} is {value or 'empty'}" if self.sound else f"{self.name} is set"
        return Remark(self.level, f"{said}: {self.consequence}", self.cure or f"{self.name}={self.sound[0]}")


_SOURCE = (
    _Rule("provide.transaction.metadata", "false", ("true",), "error", "changes make no transactions"),
    _Rule("topic.delimiter", ".", (".",), "error", "topics cannot be told from their tables"),
    _Rule("topic.heartbeat.prefix", "__debezium-heartbeat", ("__debezium-heartbeat",), "error", "it is not found"),
    _Rule("topic.transaction", "transaction", ("transaction",), "error", "it is not found"),
    _Rule("skipped.operations", "t", ("none", ""), "error", "these operations (t: truncates) pass unseen"),
    _Rule("event.processing.failure.handling.mode", "fail", ("fail",), "error", "events may be left out"),
    _Rule("event.deserialization.failure.handling.mode", "fail", ("fail",), "error", "events may be left out"),
    _Rule("inconsistent.schema.handling.mode", "fail", ("fail",), "error", "events may be left out"),
    _Rule("errors.tolerance", "none", ("none",), "error", "events that cannot be converted are left out"),
    _Rule("snapshot.mode", "initial",
          ("no_data", "never", "initial", "schema_only", "recovery", "schema_only_recovery"), "warning",
          "each snapshot that it takes again is a gap: every table is unverified until it was scanned once more"),
    _Rule("gtid.source.includes", "", (), "error", "changes of other sources are left out", "remove it"),
    _Rule("gtid.source.excludes", "", (), "error", "changes of these sources are left out", "remove it"),
    _Rule("post.processors", "", (), "error", "values read anew may be younger than the change", "remove them"),
    _Rule("converters", "", (), "error", "they spell values in their own way, which trueup cannot know", "remove them"),
    _Rule("message.key.columns", "", (), "warning", "these tables have keys of their own in events, and are not judged",
          "remove it"),
    _Rule("column.include.list", "", (), "warning", "columns are left out of events", "remove it"),
    _Rule("column.exclude.list", "", (), "warning", "columns are left out of events", "remove it"),
    _Rule("event.converting.failure.handling.mode", "warn", ("fail",), "warning",
          "what cannot be converted becomes NULL in silence"),
    _Rule("decimal.handling.mode", "precise", ("string", "precise"), "warning", _UNTOLD),
    _Rule("field.name.adjustment.mode", "none", ("none",), "warning", "columns whose names it changes are not told"),
    _Rule("interval.handling.mode", "numeric", ("string",), "note", _UNTOLD, binlog=False),
    _Rule("include.unknown.datatypes", "false", ("true",), "note", "columns of some types are not told", binlog=False),
    _Rule("bigint.unsigned.handling.mode", "long", ("precise",), "note", "2^63 and more arrive as negative numbers",
          binlog=True),
    _Rule("enable.time.adjuster", "true", ("false",), "warning",
          "years below 100 arrive as years of this or the last century", binlog=True),
    _Rule("include.schema.changes", "true", ("true",), "error", "changes of tables' shapes are not told", binlog=True),
)  # fmt: skip
_SINK = (
    _Rule("insert.mode", "insert", ("upsert",), "error", "an event that comes twice stops it"),
    _Rule("delete.enabled", "false", ("true",), "error", "deleted rows stay on the follower"),
    _Rule("primary.key.mode", "none", ("record_key",), "error", "rows are not found by their keys"),
    _Rule("truncate.enabled", "false", ("true",), "warning", "truncated tables keep their rows on the follower"),
    _Rule("errors.tolerance", "none", ("none",), "error", "rows that the follower refuses are left out"),
    _Rule("value.converter.schemas.enable", "true", ("true",), "error", "it drops every event, and goes on running"),
    _Rule("field.include.list", "", (), "note", "other columns are not written",
          "exclude them under tables.exclude_columns too"),
    _Rule("field.exclude.list", "", (), "note", "these columns are not written",
          "exclude them under tables.exclude_columns too"),
    _Rule("transforms", "", (), "warning", "rows may differ by intention", "compare what they leave alone"),
)  # fmt: skip


def harmless(config: Mapping[str, str]) -> bool:
    """Whether every transformation of the connector leaves key, value and topic of its events alone."""
    return all(kind in _HARMLESS for _, kind in _transforms(config))


def remarks(config: Mapping[str, str]) -> Iterator[Remark]:
    """Everything in this configuration (`GET /connectors/NAME/config`) that keeps trueup from reading every change
    exactly, or a sink from applying it; nothing if all is well."""
    kind = config.get("connector.class", "")
    if kind == JDBC_SINK:
        yield from _broken(_SINK, config)
        return
    if kind not in ENGINES:
        cure = "register one of Debezium's for PostgreSQL, MySQL or MariaDB (trueup connector register)"
        yield Remark("error", f"connector.class {kind or 'missing'} is none whose events trueup reads", cure)
        return
    for name, transform in _transforms(config):
        if transform not in _HARMLESS:
            short = transform.rpartition(".")[2].partition("$")[0]
            does = _TRANSFORMS.get(short, "may change, drop or send elsewhere what it is given")
            yield Remark("error", f"transforms: {name} ({short}) {does}; no table is judged by the stream",
                         "transform in the sink, or give trueup a connector of its own")  # fmt: skip
    yield from _framing(config)
    yield from _broken(_SOURCE, config)
    masked = sorted(name for name in config if name.startswith(("column.mask.", "column.truncate.to.")))
    if masked:
        yield Remark("error", f"{', '.join(masked)}: values in events are not the leader's", "remove it")
    if Modes.of(config).time == "connect":
        yield Remark("warning", f"time.precision.mode is connect: microseconds are lost; {_UNTOLD}",
                     "time.precision.mode=microseconds")  # fmt: skip
    yield from _beating(config)


def _framing(config: Mapping[str, str]) -> Iterator[Remark]:
    """Converters decide what a message's bytes are; one that is not set is the worker's."""
    for part in ("key.converter", "value.converter"):
        kind = config.get(part)
        if kind is not None and kind not in _CONVERTERS:
            yield Remark("error", f"{part} is {kind}, which trueup does not read", f"{part}={JSON}")
        framed = config.get(f"{part}.apicurio.registry.as-confluent", "false").strip().lower()
        if kind == _APICURIO and framed != "true":
            cure = f"{part}.apicurio.registry.as-confluent=true, {part}.apicurio.registry.use-id=contentId"
            yield Remark("error", f"{part} frames messages in its own way", cure)
    naming = config.get("topic.naming.strategy", "SchemaTopicNamingStrategy").rpartition(".")[2]
    if naming not in ("SchemaTopicNamingStrategy", "DefaultTopicNamingStrategy"):
        yield Remark(
            "error", f"topic.naming.strategy is {naming}: topics cannot be told from their tables", "remove it"
        )


def _beating(config: Mapping[str, str]) -> Iterator[Remark]:
    if config.get("heartbeat.interval.ms", "0").strip() == "0":
        yield Remark("warning", "heartbeat.interval.ms is 0: an idle leader cannot be told from a dead connector",
                     "heartbeat.interval.ms=1000 and heartbeat.action.query")  # fmt: skip
    elif not config.get("heartbeat.action.query"):
        yield Remark("note", "no heartbeat.action.query: while the leader is idle, no transaction moves the stream on",
                     "trueup connector register --create-heartbeat")  # fmt: skip


def _broken(rules: Sequence[_Rule], config: Mapping[str, str]) -> Iterator[Remark]:
    binlog = engine(config) in ("mysql", "mariadb")
    for rule in rules:
        found = rule.broken(config) if rule.binlog in (None, binlog) else None
        if found is not None:
            yield found


def _transforms(config: Mapping[str, str]) -> list[tuple[str, str]]:
    """Name and class of each transformation."""
    names = [name.strip() for name in config.get("transforms", "").split(",") if name.strip()]
    return [(name, config.get(f"transforms.{name}.type", "")) for name in names]
