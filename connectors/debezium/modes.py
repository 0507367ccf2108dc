"""How a connector spells values: the settings that decide what an integer or a string in an event means.

The same column arrives as microseconds, milliseconds or ISO text, as base64 or hex, depending on the connector's own
configuration. Without schemas in the messages nothing in an event says which, so trueup reads the configuration from
Kafka Connect. Defaults are the connector's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

PLACEHOLDER = "__debezium_unavailable_value"


@dataclass(frozen=True, slots=True)
class Modes:
    """Converter settings of one PostgreSQL connector, named as the connector names them.

    `decimal`: precise, string, double. `time`: adaptive, adaptive_time_microseconds, microseconds, nanoseconds,
    isostring, connect. `binary`: bytes, base64, base64-url-safe, hex. `interval`: numeric, string.
    `placeholder` stands for a large value that the update left alone; `hex:` in front means bytes.
    `failures` other than `fail` turns values that cannot be converted into silent NULLs; without `unknown_types`
    columns of type name arrive as NULL.
    """

    decimal: str = "precise"
    time: str = "adaptive"
    binary: str = "bytes"
    interval: str = "numeric"
    placeholder: str = PLACEHOLDER
    failures: str = "warn"
    unknown_types: bool = False

    @classmethod
    def of(cls, config: Mapping[str, str]) -> Modes:
        """Read from a connector's configuration (`GET /connectors/NAME/config`); absent settings have their default."""
        return cls(
            decimal=config.get("decimal.handling.mode", "precise").lower(),
            time=config.get("time.precision.mode", "adaptive").lower(),
            binary=config.get("binary.handling.mode", "bytes").lower(),
            interval=config.get("interval.handling.mode", "numeric").lower(),
            placeholder=config.get("unavailable.value.placeholder", PLACEHOLDER),
            failures=config.get("event.converting.failure.handling.mode", "warn").lower(),
            unknown_types=config.get("include.unknown.datatypes", "false").lower() == "true",
        )

    def placeholder_bytes(self) -> bytes:
        if self.placeholder.startswith("hex:"):
            return bytes.fromhex(self.placeholder[4:])
        return self.placeholder.encode()


RECOMMENDED = Modes(
    decimal="string", time="microseconds", binary="hex", interval="string", failures="fail", unknown_types=True
)
"""What the template sets: every value of a common type can then be told exactly."""
