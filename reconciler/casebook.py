"""The journal of repairs with its laws attached: only moves that `progress` allows, each with its event.

The journal writes state, audit line and event in one transaction; here it is decided which event that is. The flows
(`repairing`, `applying`) change repairs through this and in no other way.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from reconciler import progress
from reconciler.events import Announcer, repair_event
from reconciler.ports import Event, Outlined, RepairJournal, RepairRecord, RepairSink
from reconciler.repair import Repair, State
from reconciler.rows import changed_columns
from verifier.compare import Comparison
from verifier.errors import Permanent
from verifier.table import Table, TableName

LIVE_MAX = 10_000
"""Repairs that one call holds in memory at most; the rest wait for the next call."""


@dataclass(frozen=True, slots=True)
class Casebook:
    """`comparisons` describes the tables on both sides (`verifier.compare.comparison`)."""

    journal: RepairJournal
    announcer: Announcer
    comparisons: Mapping[TableName, Comparison]

    def compared(self, table: TableName) -> Comparison | None:
        """None if the table is not among those that are compared."""
        return self.comparisons.get(table)

    def comparison(self, table: TableName) -> Comparison:
        """Permanent if the table is not among those that are compared."""
        compared = self.compared(table)
        if compared is None:
            raise Permanent(f"{table} is not among the compared tables; add it to the group's tables")
        return compared

    def record(self, repairs: Sequence[Repair], *, actor: str, now: float) -> int:
        """Store new plans with their compensating events; returns how many were not known yet."""
        events = [self._event(repair, State.PLANNED, actor, now, "") for repair in repairs]
        return self.journal.record(repairs, actor=actor, at=now, events=events)

    def move(
        self, record: RepairRecord, state: State, *, actor: str, now: float, note: str = ""
    ) -> RepairRecord | None:
        """The record after the move, or None (nothing written) if somebody else moved it first. Unsound if the move is
        not allowed."""
        progress.check(record.repair.id, record.state, state)
        repair = record.repair
        silent = state in progress.UNDECIDED or (record.state is State.UNDOING and state is State.VERIFIED)
        events = [] if silent else [self._event(repair, state, actor, now, note)]
        moved = self.journal.move(
            repair.id, state, expected=record.state, actor=actor, at=now, note=note, events=events
        )
        return RepairRecord(repair, state, now, actor, note) if moved else None

    def live(
        self, follower: str, *states: State, tables_out: Collection[TableName] = (), limit: int = LIVE_MAX
    ) -> Sequence[Outlined]:
        """Records of that follower in any of these states, oldest first; without those of some tables."""
        return self.journal.listed(*states, follower=follower, tables_out=tables_out, limit=limit)

    def whole(self, outlined: Outlined) -> RepairRecord | None:
        """With its rows; None if somebody else has moved it since it was listed."""
        if isinstance(outlined, RepairRecord):
            return outlined
        found = self.journal.find(outlined.repair.id)
        return found if found is not None and found.state is outlined.state else None

    def statement(self, sink: RepairSink, table: Table, repair: Repair) -> str:
        """The SQL of the repair, for people to read. Where columns of the table are masked it is a comment: run by hand
        it would write their masks."""
        masking = self.announcer.masking
        if not (hidden := masking.of(repair.table)):
            return sink.statement(table, repair)
        shown = masking.repair(repair)
        if shown.wanted is not None and shown.expected is not None:
            # Equal values that are spelled otherwise have other masks, and are not set.
            left = shown.expected.keys() - {column.name for column in changed_columns(table, repair)}
            shown = replace(shown, wanted={**shown.wanted, **{name: shown.expected[name] for name in left}})
        told = sink.statement(table, shown)
        return "\n".join(f"-- {line}" for line in (f"masked: {', '.join(sorted(hidden))}", *told.splitlines()))

    def _event(self, repair: Repair, state: State, actor: str, now: float, note: str) -> Event:
        table = self.comparison(repair.table).follower
        return repair_event(
            self.announcer,
            repair,
            state,
            key_columns=table.key,
            set_columns=[column.name for column in changed_columns(table, repair)],
            actor=actor,
            now=now,
            note=note,
        )
