"""What an audit tells while it runs: rate and time left, on standard error only.

On a terminal a live bar (rich), elsewhere one plain line every ten seconds. Nothing is promised about the estimate:
it follows the planner's row counts.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Protocol, TextIO

from verifier.ports import Clock
from verifier.table import TableName

_EVERY_SECONDS = 10.0


class Watcher(Protocol):
    """Told by the audit what it does; must not raise and must not block."""

    def table_begins(self, table: TableName, estimated_rows: int | None) -> None: ...
    def rows_read(self, rows: int, *, suspects: int, drifted: int) -> None:
        """Rows of the leader read since the last call; keys waiting to settle; drift found in this table so far."""
        ...

    def table_ends(self, table: TableName, verdict: str) -> None: ...
    def note(self, message: str) -> None: ...
    def close(self) -> None: ...


@dataclass(slots=True)
class Silent:
    """Says nothing."""

    def table_begins(self, table: TableName, estimated_rows: int | None) -> None:
        return

    def rows_read(self, rows: int, *, suspects: int, drifted: int) -> None:
        return

    def table_ends(self, table: TableName, verdict: str) -> None:
        return

    def note(self, message: str) -> None:
        return

    def close(self) -> None:
        return


@dataclass(slots=True)
class Lines:
    """One plain line every ten seconds, for logs and pipes."""

    now: float
    clock: Clock
    out: TextIO = field(default_factory=lambda: sys.stderr)
    _table: TableName | None = None
    _rows: int = 0
    _estimate: int | None = None
    _began: float = 0.0

    def table_begins(self, table: TableName, estimated_rows: int | None) -> None:
        self._table, self._rows, self._estimate, self._began = table, 0, estimated_rows, self._time()

    def rows_read(self, rows: int, *, suspects: int, drifted: int) -> None:
        self._rows += rows
        now = self._time()
        if now - self.now < _EVERY_SECONDS:
            return
        self.now = now
        print(self._line(now, suspects, drifted), file=self.out, flush=True)

    def table_ends(self, table: TableName, verdict: str) -> None:
        seconds = self._time() - self._began
        print(visible(f"{table}: {verdict}, {self._rows:,} rows in {seconds:.1f} s"), file=self.out, flush=True)

    def note(self, message: str) -> None:
        print(visible(message), file=self.out, flush=True)

    def close(self) -> None:
        return

    def _line(self, now: float, suspects: int, drifted: int) -> str:
        rate = self._rows / max(now - self._began, 1e-3)
        left = ""
        if self._estimate and rate:
            left = f", about {duration(max(0.0, (self._estimate - self._rows) / rate))} left"
        return f"{self._table}: {self._rows:,} rows, {rate:,.0f}/s{left}; {suspects} settling, {drifted} drifted"

    def _time(self) -> float:
        return self.clock.now()


class Bar:
    """A live bar on a terminal."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TaskProgressColumn,
            TextColumn,
            TimeRemainingColumn,
        )

        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[state]}"),
            console=Console(stderr=True, markup=False, emoji=False, highlight=False),
            transient=True,
        )
        self._task = self._progress.add_task("starting", total=None, rate="", state="")
        self._progress.start()

    def table_begins(self, table: TableName, estimated_rows: int | None) -> None:
        self._progress.reset(
            self._task, description=visible(str(table)), total=estimated_rows or None, rate="", state=""
        )

    def rows_read(self, rows: int, *, suspects: int, drifted: int) -> None:
        task = self._progress.tasks[0]
        rate = f"{task.speed:,.0f} rows/s" if task.speed else ""
        state = " ".join(([f"{suspects} settling"] if suspects else []) + ([f"{drifted} drifted"] if drifted else []))
        if task.total is not None and task.completed + rows > task.total:
            self._progress.update(self._task, total=task.completed + rows)
        self._progress.update(self._task, advance=rows, rate=rate, state=state)

    def table_ends(self, table: TableName, verdict: str) -> None:
        self._progress.console.print(visible(f"{table}: {verdict}"))

    def note(self, message: str) -> None:
        self._progress.console.print(visible(message))

    def close(self) -> None:
        self._progress.stop()


def visible(text: str) -> str:
    """The text with everything unprintable escaped: a name from a database must not steer a terminal."""
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)


def duration(seconds: float) -> str:
    """`75` as `1m15s`, `0.4` as `0.4s`."""
    if seconds < 10:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m{rest:02}s" if minutes else f"{rest}s"
