"""How a connector spells values: the settings that decide what an integer or a string in an event means.

The same column arrives as microseconds, milliseconds or ISO text, as base64 or hex, depending on the connector's own
configuration. Without schemas in the messages nothing in an event says which, so trueup reads the configuration from
Kafka Connect. Defaults are the connector's own, and differ between PostgreSQL and the two that read binlogs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

PLACEHOLDER = "__debezium_unavailable_value"
POSTGRES = "io.debezium.connector.postgresql.PostgresConnector"
MYSQL = "io.debezium.connector.mysql.MySqlConnector"
MARIADB = "io.debezium.connector.mariadb.MariaDbConnector"
JDBC_SINK = "io.debezium.connector.jdbc.JdbcSinkConnector"
ENGINES: Mapping[str, str] = {POSTGRES: "postgresql", MYSQL: "mysql", MARIADB: "mariadb"}
"""The dialect of the leader that each source connector reads."""


@dataclass(frozen=True, slots=True)
class Modes:
    """Converter settings of one source connector, named as the connector names them.

    `decimal`: precise, string, double. `time`: adaptive, adaptive_time_microseconds, microseconds, nanoseconds,
    isostring, connect. `binary`: bytes, base64, base64-url-safe, hex. `interval`: numeric, string.
    `placeholder` stands for a large value that the update left alone; `hex:` in front means bytes.
    `failures` other than `fail` turns values that cannot be converted into silent NULLs; without `unknown_types`
    columns of type name arrive as NULL. `hstore`: json, map.

    Of MySQL and MariaDB alone: `bigint_unsigned` is long (2^63 and more arrive as negative numbers) or precise; with
    `time_adjuster` years below 100 arrive as years of this or the last century. `names` is none, or avro and
    avro_unicode, which spell some characters of column names otherwise. `number_format` of decimals in JSON: base64,
    numeric.
    """

    decimal: str = "precise"
    time: str = "adaptive"
    binary: str = "bytes"
    interval: str = "numeric"
    placeholder: str = PLACEHOLDER
    failures: str = "warn"
    unknown_types: bool = False
    hstore: str = "json"
    bigint_unsigned: str = "long"
    time_adjuster: bool = False
    names: str = "none"
    number_format: str = "base64"

    @classmethod
    def of(cls, config: Mapping[str, str]) -> Modes:
        """Read from a connector's configuration (`GET /connectors/NAME/config`); absent settings have its default."""
        binlog = engine(config) in ("mysql", "mariadb")
        time = "adaptive_time_microseconds" if binlog else "adaptive"
        return cls(
            decimal=_word(config, "decimal.handling.mode", "precise"),
            time=_word(config, "time.precision.mode", time),
            binary=_word(config, "binary.handling.mode", "bytes"),
            interval=_word(config, "interval.handling.mode", "numeric"),
            placeholder=config.get("unavailable.value.placeholder", PLACEHOLDER),
            failures=_word(config, "event.converting.failure.handling.mode", "warn"),
            unknown_types=_word(config, "include.unknown.datatypes", "false") == "true",
            hstore=_word(config, "hstore.handling.mode", "json"),
            bigint_unsigned=_word(config, "bigint.unsigned.handling.mode", "long"),
            time_adjuster=binlog and _word(config, "enable.time.adjuster", "true") == "true",
            names=_word(config, "field.name.adjustment.mode", "none"),
            number_format=_word(config, "value.converter.decimal.format", "base64"),
        )

    def placeholder_bytes(self) -> bytes:
        if self.placeholder.startswith("hex:"):
            return bytes.fromhex(self.placeholder[4:])
        return self.placeholder.encode()


RECOMMENDED = Modes(
    decimal="string",
    time="microseconds",
    binary="hex",
    interval="string",
    failures="fail",
    unknown_types=True,
    hstore="map",
)
"""What the template sets for PostgreSQL: every value of a common type can then be told exactly."""

RECOMMENDED_BINLOG = Modes(
    decimal="string", time="microseconds", binary="hex", failures="fail", bigint_unsigned="precise"
)
"""The same for MariaDB and MySQL."""


def engine(config: Mapping[str, str]) -> str | None:
    """The dialect of the leader that a connector of this configuration reads; None if it is none of Debezium's that
    trueup follows."""
    return ENGINES.get(config.get("connector.class", ""))


def _word(config: Mapping[str, str], name: str, default: str) -> str:
    return config.get(name, default).strip().lower()
