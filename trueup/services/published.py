"""Of which tables the stream tells everything, as its source says, and since when.

A table can leave a publication and come back without a word in the stream, so a verdict of drift asks again. A table
that is new in the answer, or made of something else than before, is *joining*: changes of it that nobody told of must
lie behind both looks before the visibility rule may judge it. They belong to transactions that began before it was
noticed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import RLock

from verifier.ports import Replica
from verifier.table import TableName
from verifier.view import Mark
from verifier.window import TransactionWindow


@dataclass(slots=True)
class Published:
    """`ask` asks the source; its text changes where rows came or went without a row's change (another table took the
    name, a partition came). Safe for several threads."""

    ask: Callable[[], Mapping[TableName, str]]
    _told: Mapping[TableName, str] = field(default_factory=dict)
    _joining: dict[TableName, Mark | None] = field(default_factory=dict)
    """With a mark of the leader, asked after the table was noticed (None: not yet)."""
    _window: TransactionWindow | None = None
    _lock: RLock = field(default_factory=RLock)

    def guard(self, window: TransactionWindow, lock: RLock) -> None:
        """Where joining tables are held up, and the lock that the window is behind."""
        self._window, self._lock = window, lock

    def refresh(self) -> Mapping[TableName, str]:
        """Ask; returns the answer. Whatever is new in it is joining."""
        told = self.ask()
        with self._lock:
            for table in [one for one, made_of in told.items() if self._told.get(one) != made_of]:
                if self._window is not None:
                    self._window.join(table)
                self._joining[table] = None
            self._told = told
        return told

    def tells(self, table: TableName) -> bool:
        """Asked now."""
        told = self.refresh()
        return table in told and self.lately(table)

    def lately(self, table: TableName) -> bool:
        """By the last answer."""
        with self._lock:
            return table in self._told and table not in self._joining

    def admit(self, leader: Replica) -> None:
        """Let in the joining tables of which nothing untold can be in flight on the leader any more."""
        with self._lock:
            joining = bool(self._joining)
            unmarked = [table for table, mark in self._joining.items() if mark is None]
        if not joining:
            return
        if unmarked:
            mark = leader.mark()
            with self._lock:
                self._joining.update(dict.fromkeys(unmarked, mark))
        look = leader.ask("select 1", rows_max=1, seconds_max=5.0)
        with self._lock:
            for table, asked in list(self._joining.items()):
                if asked is not None and look.view.ended_below(asked):
                    if self._window is not None:
                        self._window.join(table, look.high, asked)
                    del self._joining[table]
