"""Repairs written to a follower in memory: compare-and-set in one moment, refused by a standby as a real one would."""

from __future__ import annotations

from collections.abc import Callable
from threading import RLock

from connectors.memory.follower import Follower
from connectors.memory.replica import nothing
from reconciler.ports import Applied, Outcome
from reconciler.repair import Action, Repair
from verifier.look import Role
from verifier.table import Table


class MemoryRepairSink:
    """`written` counts the writes that took place."""

    def __init__(self, follower: Follower, *, happen: Callable[[], None] = nothing, lock: RLock | None = None) -> None:
        self._follower = follower
        self._happen = happen
        self._lock = lock or RLock()
        self.written = 0

    def apply(self, table: Table, repair: Repair) -> Applied:
        with self._lock:
            self._happen()
            if self._follower.role is Role.STANDBY:
                return Applied(Outcome.FAILED, "cannot write: recovery is in progress")
            row = self._follower.shelves.row(table, repair.key)
            if (None if row is None else dict(row.values)) != (
                None if repair.expected is None else dict(repair.expected)
            ):
                return Applied(Outcome.STALE)
            if repair.action is Action.DELETE or repair.wanted is None:
                self._follower.drop(table.name, repair.key)
            else:
                self._follower.put(table.name, repair.key, repair.wanted)
            self.written += 1
            return Applied(Outcome.APPLIED)

    def statement(self, table: Table, repair: Repair) -> str:
        return f"{repair.action.value} {table.name} {repair.key!r}"

    def close(self) -> None:
        """Nothing is held open."""
