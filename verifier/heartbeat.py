"""Lag by a heartbeat table: the leader's time, written there again and again and replicated with the rest.

What a follower shows of it is how far it is. Both times that are compared were written by the leader, so a clock that
is wrong, or another than ours, bends nothing; how long ago the leader wrote the newest one is told by when we saw it.
A time is a position (`Tick`, in microseconds), so a follower is caught up, lagging, stalled or rewound as any other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from verifier.errors import Misconfigured
from verifier.ports import Replica
from verifier.position import Tick

_NUMBER = re.compile(r"\d+(\.\d+)?")
_ASK_SECONDS = 5.0
_STEP_MICROSECONDS, _STEPS_MAX = 1_000_000, 2_000
_UNITS = ((Decimal(10) ** 14, Decimal(1)), (Decimal(10) ** 11, Decimal(1_000)))
"""Numbers from there on are microseconds, milliseconds; below both seconds: their year 1970 ended long ago."""


@dataclass(frozen=True, slots=True)
class HeartbeatPolicy:
    """What the operator says of the table; its names are plain ones. `followers`: those whose lag is told by it; empty:
    all that tell no position in the leader's log."""

    table: str
    column: str = "ts"
    where: str | None = None
    followers: tuple[str, ...] = ()

    @property
    def excluded(self) -> str:
        """The pattern that keeps the table out of what is compared."""
        return f"!{self.table}" if "." in self.table else f"!*.{self.table}"


@dataclass(slots=True)
class Heartbeat:
    """The table as each server shows it. `tables`: its name there, by the server's."""

    policy: HeartbeatPolicy
    tables: Mapping[str, str]

    def beat(self, replica: Replica) -> Tick:
        """The newest time that the server shows. Misconfigured if there is none; else as `Replica.ask`."""
        table, column = self.tables[replica.name], self.policy.column
        condition = f" where {self.policy.where}" if self.policy.where else ""
        asked = replica.ask(
            f"select max({column}) as beat from {table}{condition}", rows_max=1, seconds_max=_ASK_SECONDS
        )
        told = asked.value.rows[0][0] if asked.value.rows else None
        if told is None:
            raise Misconfigured(
                f"the heartbeat {table} on {replica.name} has no row{condition}: is it written on the leader, and "
                "replicated"
            )
        return instant(told, f"{table}.{column} on {replica.name}")


def instant(text: str, where: str) -> Tick:
    """A time as a server tells it, in microseconds since the epoch; one without a zone is taken for UTC. Misconfigured
    if it is none."""
    if _NUMBER.fullmatch(text):
        number = Decimal(text)
        scale = next((unit for above, unit in _UNITS if number >= above), Decimal(1_000_000))
        return Tick(int(number * scale))
    try:
        read = datetime.fromisoformat(text)
    except ValueError as error:
        raise Misconfigured(
            f"{where} is no time: need a timestamp, its ISO text, or a number since the epoch"
        ) from error
    since = (read if read.tzinfo else read.replace(tzinfo=UTC)) - datetime(1970, 1, 1, tzinfo=UTC)
    return Tick((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds)


def written_between(shown: Tick, ahead: Tick) -> list[Tick]:
    """Times that the leader surely had reached between these two, a second or so apart; not too many."""
    lacking = ahead.value - shown.value
    steps = max(0, min(_STEPS_MAX, -(-lacking // _STEP_MICROSECONDS)))
    return [Tick(shown.value + 1 + lacking * step // steps) for step in range(steps)]
