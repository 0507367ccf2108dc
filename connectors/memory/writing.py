"""Repairs written to a follower in memory: compare-and-set in one moment, refused by a standby as a real one would."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import RLock

from connectors.memory.follower import Follower
from connectors.memory.replica import nothing
from reconciler.ports import Applied, Outcome
from reconciler.repair import Action, Repair
from reconciler.rows import changed_columns, plain
from verifier.errors import Permanent, Unsound
from verifier.look import Role
from verifier.table import Table, Value


class MemoryRepairSink:
    """`written` counts the writes that took place."""

    def __init__(self, follower: Follower, *, happen: Callable[[], None] = nothing, lock: RLock | None = None) -> None:
        self._follower = follower
        self._happen = happen
        self._lock = lock or RLock()
        self.written = 0

    def apply(self, table: Table, repair: Repair) -> Applied:
        """Permanent on a standby; Unsound where it leads by now, or if the repair changes nothing."""
        with self._lock:
            self._happen()
            if self._follower.promoted is not None:
                raise Unsound("the follower is the leader by now: nothing was written")
            if self._follower.role is Role.STANDBY:
                raise Permanent("a physical standby cannot be written")
            if repair.action is Action.UPDATE and not changed_columns(table, repair):
                raise Unsound(f"repair {repair.id} changes no column")
            found = self._follower.shelves.row(plain(table), repair.key)
            if (None if found is None else dict(found.values)) != _row(repair.expected):
                return Applied(Outcome.STALE)
            self._write(table, repair)
            self.written += 1
            return Applied(Outcome.APPLIED)

    def statement(self, table: Table, repair: Repair) -> str:
        return f"{repair.action.value} {table.name} {repair.key!r}"

    def close(self) -> None:
        """Nothing is held open."""

    def _write(self, table: Table, repair: Repair) -> None:
        if repair.wanted is None:
            self._follower.drop(table.name, repair.key)
            return
        written = {column.name: repair.wanted[column.name] for column in changed_columns(table, repair)}
        before = self._follower.shelves.get(table.name, repair.key)
        self._follower.put(table.name, repair.key, repair.wanted if before is None else {**before, **written})


def _row(values: Mapping[str, Value] | None) -> dict[str, Value] | None:
    return None if values is None else dict(values)
