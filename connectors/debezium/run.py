"""Row events of one partition that lie one behind the other, as they were read: many transactions at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from connectors.debezium.columns import Columns, Stretch, Stretches
from connectors.debezium.source import TransactionId
from verifier.gtid import Binlog
from verifier.table import Key, TableName


@dataclass(frozen=True, slots=True)
class Run:
    """Of one table. `counts`: how many events of which transaction follow each other; the others as in a `Stretch`, of
    all of them. `places` by the index of a transaction's first event, where places are needed. `handled_at` is the
    connector's clock at the last one, seconds since the epoch."""

    table: TableName
    counts: Sequence[tuple[TransactionId, int]]
    orders: Sequence[int]
    told: Columns | None
    fields: tuple[str, ...]
    handled_at: float
    places: Mapping[int, Binlog] = field(default_factory=dict)

    def stretch(self, start: int, stop: int) -> Stretch:
        """Those from `start` to before `stop`, by themselves."""
        told = None if self.told is None else self.told.between(start, stop)
        return Stretch(self.table, self.orders[start:stop], told, self.fields, None, self.places.get(start))

    @property
    def parts(self) -> Sequence[tuple[TransactionId, Stretch]]:
        """By transaction."""
        found = []
        start = 0
        for xid, count in self.counts:
            found.append((xid, self.stretch(start, start + count)))
            start += count
        return found


class PartOfRun(Stretches):
    """All changes of a transaction, which are one part of a run and each there once. Nothing is taken out of the run
    before somebody asks."""

    __slots__ = ("_run", "_start", "_stop")

    def __init__(self, run: Run, start: int, stop: int) -> None:
        self._run, self._start, self._stop = run, start, stop
        self._made = self._keys = None  # all that `Stretches` does, by itself: it is made for each transaction
        self._size = 0 if run.told is None else stop - start

    def _told(self) -> Sequence[Stretch]:
        return (self._run.stretch(self._start, self._stop),)

    def _each_once(self) -> Mapping[TableName, Sequence[Key]]:
        told = self._run.told
        if told is None:
            return {}
        keys = told.keys[self._start : self._stop]
        return {told.table: keys if len(set(keys)) == len(keys) else list(dict.fromkeys(keys))}
