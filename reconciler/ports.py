"""The world as the reconciler sees it: where repairs are written, recorded and announced."""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from reconciler.repair import Outline, Repair, State, outline
from verifier.table import Table, TableName


class Outcome(enum.Enum):
    """What became of one compare-and-set."""

    APPLIED = "applied"
    STALE = "stale"  # the row was no longer what the plan expected; nothing was written
    FAILED = "failed"  # the server refused; nothing was written


@dataclass(frozen=True, slots=True)
class Applied:
    """`note` is the server's message where it failed."""

    outcome: Outcome
    note: str = ""


class RepairSink(Protocol):
    """Writes one repair to a follower, compare-and-set, in one short transaction, tagged as trueup's own."""

    def apply(self, table: Table, repair: Repair) -> Applied: ...
    def statement(self, table: Table, repair: Repair) -> str:
        """The SQL that `apply` would run, with values inlined, for people to read."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Event:
    """A CloudEvent ready to send: `topic` without prefix (`drift`, `repairs`, `violations`, `dead-letters`), message
    key, and the attributes and data of CloudEvents 1.0 as one JSON-able mapping. `id` is deterministic."""

    id: str
    topic: str
    key: str
    body: Mapping[str, object]


class EventSink(Protocol):
    """Delivers events at least once; returns the ids that the other side has acknowledged."""

    def send(self, events: Sequence[Event]) -> Sequence[str]: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Outlined:
    """A repair without its rows, its state, and who moved it there last and why."""

    repair: Outline
    state: State
    changed_at: float
    actor: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class RepairRecord(Outlined):
    """The same with its rows: of one at a time."""

    repair: Repair

    @property
    def outlined(self) -> Outlined:
        """Without them."""
        return Outlined(outline(self.repair), self.state, self.changed_at, self.actor, self.note)


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One line of the append-only audit table. `hash` covers the entry and the hash of the line before it."""

    sequence: int
    at: float
    actor: str
    action: str
    subject: str
    detail: str
    previous: str
    hash: str


class RepairJournal(Protocol):
    """Repairs with their states. Every method that changes something writes the audit line and the events of the same
    step in the same transaction. Only `find` tells rows: they may be large, and of many at once nobody needs them."""

    def record(self, repairs: Sequence[Repair], *, actor: str, at: float, events: Sequence[Event] = ()) -> int:
        """Store as planned those not known yet; returns how many were new."""
        ...

    def move(
        self,
        repair_id: str,
        state: State,
        *,
        expected: State,
        actor: str,
        at: float,
        note: str = "",
        events: Sequence[Event] = (),
    ) -> bool:
        """From `expected` to `state`; False (and nothing written) if the repair is not in `expected`."""
        ...

    def find(self, repair_id: str) -> RepairRecord | None: ...
    def listed(
        self,
        *states: State,
        follower: str | None = None,
        tables_in: Collection[TableName] | None = None,
        tables_out: Collection[TableName] = (),
        after: str | None = None,
        limit: int = 1000,
    ) -> Sequence[Outlined]:
        """Those in any of these states (none given: all), oldest first: of this follower, of these tables, of none of
        those, and behind the repair of that id."""
        ...

    def of_drifts(self, drift_ids: Sequence[str], *states: State) -> Sequence[Outlined]:
        """Those of these drifts in any of these states (none given: all), oldest first."""
        ...

    def settled(self, follower: str, *states: State, limit: int = 1000) -> Sequence[Outlined]:
        """Those of this follower in any of these states whose drift is open no more, oldest first."""
        ...

    def counts(self) -> Mapping[State, int]:
        """How many there are in each state; those of which there is none are absent."""
        ...

    def applied_since(self, at: float) -> int:
        """How many repairs were applied since then: the budget."""
        ...

    def audit(self, *, limit: int = 1000) -> Sequence[AuditEntry]:
        """The newest lines, oldest of them first."""
        ...

    def audit_broken_at(self) -> int | None:
        """The first sequence number at which the chain does not hold; None: it holds."""
        ...


class Outbox(Protocol):
    """Events written with what they tell of, waiting to be sent."""

    def add(self, events: Sequence[Event]) -> None:
        """Events that belong to no other step; known ids are ignored."""
        ...

    def pending(self, limit: int) -> Sequence[Event]:
        """In the order in which they were written: at most `limit`, and fewer of large ones."""
        ...

    def sent(self, ids: Sequence[str], at: float) -> None: ...
    def pending_count(self, topic: str | None = None) -> int:
        """Of one topic, or of all."""
        ...
