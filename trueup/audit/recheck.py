"""Drift that is looked at again, now: still there, gone, or not decidable.

The rules of evidence are those of an audit. What is still there is refreshed in the journal, what is gone is cleared
there; what could not be decided stays as it was.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import Any

from reconciler.masking import is_mask
from trueup.audit.lineup import Lineup, Side
from trueup.audit.report import Json, drift_entry
from trueup.audit.request import Request, joined
from trueup.audit.tools import Tools
from verifier.drift import Drift, Verdict
from verifier.errors import Misconfigured, Permanent, Temporary
from verifier.excerpt import excerpts
from verifier.journal import DriftJournal
from verifier.outcome import Differs, Equal
from verifier.settle import Leaving, Room
from verifier.table import TableName
from verifier.tolerance import Tolerance


class State(enum.Enum):
    """What a drifted key is now."""

    DRIFT = "drift"
    EQUAL = "equal"
    IN_FLIGHT = "in_flight"
    UNVERIFIED = "unverified"


@dataclass(frozen=True, slots=True)
class Rechecked:
    """`drift` as it is now, or where it is not (or not known to be) there any more as it was. `key`: names of its key
    columns, empty where the table could not be looked at."""

    drift: Drift
    state: State
    key: tuple[str, ...] = ()
    reason: str | None = None

    def entry(self) -> Json:
        """One element of the list that `trueup recheck` writes."""
        place = {"follower": self.drift.follower, "table": str(self.drift.table)}
        return {**place, "state": self.state.value, "reason": self.reason, **drift_entry(self.drift, self.key)}


@dataclass(slots=True)
class Recheck:
    """`counts` grows while results are read."""

    tools: Tools
    lineup: Lineup
    journal: DriftJournal
    counts: dict[State, int] = field(default_factory=lambda: dict.fromkeys(State, 0))

    def look(self, table: TableName, follower: str, drifts: Iterable[Drift]) -> Iterator[Rechecked]:
        """Look again at drift of one table on one follower, a batch of keys at a time."""
        side = self._side(table, follower)
        left = map(self.tools.masking.drift, drifts)
        while batch := list(islice(left, self.tools.settle.batch_keys)):
            for result in self._batch(side, batch):
                self.counts[result.state] += 1
                yield result

    def verdict(self) -> Verdict:
        """Of all that was looked at so far."""
        if self.counts[State.DRIFT]:
            return Verdict.DRIFT
        doubtful = self.counts[State.IN_FLIGHT] + self.counts[State.UNVERIFIED]
        return Verdict.UNVERIFIED if doubtful else Verdict.MATCH

    def _side(self, table: TableName, follower: str) -> Side | str:
        """How the table is compared there, or why it cannot be."""
        if follower not in self.lineup.followers:
            return f"there is no follower called {follower!r} here; name it as the audit did (--follower NAME=URL)"
        try:
            side = self.lineup.side(self.lineup.table(table), follower)
        except (Permanent, Temporary) as problem:
            return str(problem)
        if not side.compared.addressable:
            return side.compared.problem or "rows cannot be addressed"
        return side

    def _batch(self, side: Side | str, batch: Sequence[Drift]) -> Iterator[Rechecked]:
        if isinstance(side, str):
            yield from (Rechecked(drift, State.UNVERIFIED, reason=side) for drift in batch)
            return
        key = side.compared.leader.key
        fitting = [drift for drift in batch if len(drift.key) == len(key)]
        changed = f"the key is {', '.join(key)} by now"
        yield from (Rechecked(one, State.UNVERIFIED, reason=changed) for one in batch if len(one.key) != len(key))
        room: Room[Drift] = Room(partial(self.tools.judge, side.replica, side.compared), self.tools.settle)
        for drift in fitting:
            room.admit([drift.key], drift, self.tools.clock.now(), delay=0.0)
        try:
            while room:
                yield from self._settled(side, room.advance(self.tools.clock.now()))
                due = room.next_due()
                if due is not None:
                    self.tools.clock.sleep(min(max(due - self.tools.clock.now(), 0.0), 0.2))
        except Permanent as problem:
            left = room.give_up(str(problem))
            yield from (Rechecked(one.tag, State.UNVERIFIED, key, str(problem)) for one in left)

    def _settled(self, side: Side, leaving: Sequence[Leaving[Drift]]) -> Iterator[Rechecked]:
        """The journal knows it first."""
        now, key, problem = self.tools.clock.now(), side.compared.leader.key, side.compared.problem
        results: list[Rechecked] = []
        for left in leaving:
            known = left.tag
            if isinstance(left.outcome, Differs):
                found = left.outcome
                columns = excerpts(found.columns, self.tools.masking.hide(known.table))
                fresh = replace(known, kind=found.kind, columns=columns, evidence=found.evidence, found_at=now)
                self.journal.record([fresh])
                results.append(Rechecked(fresh, State.DRIFT, key))
            elif not isinstance(left.outcome, Equal):
                results.append(Rechecked(known, State.IN_FLIGHT, key, left.outcome.why))
            elif problem is not None:
                results.append(Rechecked(known, State.UNVERIFIED, key, problem))
            else:
                self.journal.clear(known.follower, known.table, [known.key], left.since)
                results.append(Rechecked(known, State.EQUAL, key))
        yield from results


def check_masks(drifts: Iterable[Drift], request: Request) -> None:
    """Misconfigured if one was found with columns masked that would be told now."""
    for drift in drifts:
        masked = {name for name, both in drift.columns.items() if is_mask(both.leader) or is_mask(both.follower)}
        if lacking := sorted(masked.difference(request.masked.get(str(drift.table), ()))):
            names = " ".join(f"--mask {drift.table}.{name}" for name in lacking)
            raise Misconfigured(f"drift {drift.id} was found with masked columns; mask them again: {names}")


def as_in(settings: dict[str, Any], request: Request) -> Request:
    """The request with what the run's report says of filters, names, keys and columns, where the user says nothing; and
    with what it masked."""
    return replace(
        request,
        excluded=request.excluded or _columns(settings.get("excluded_columns")),
        included=request.included or _columns(settings.get("included_columns")),
        keys=request.keys or _columns(settings.get("keys")),
        conditions=request.conditions or settings.get("where") or {},
        table_names=request.table_names or settings.get("renamed_tables") or {},
        column_names=request.column_names or settings.get("renamed_columns") or {},
        tolerances=request.tolerances or _tolerances(settings.get("tolerances")),
        masked=joined(request.masked, _columns(settings.get("masked_columns"))),
    )


def _tolerances(told: dict[str, dict[str, Any]] | None) -> dict[str, Tolerance]:
    return {place: Tolerance(**said) for place, said in (told or {}).items()}


def _columns(told: dict[str, list[str]] | None) -> dict[str, tuple[str, ...]]:
    return {table: tuple(columns) for table, columns in (told or {}).items()}
