"""What an audit tells while it runs: rate and time left, on standard error only.

On a terminal a live bar for each table under way (rich), elsewhere one plain line every ten seconds. Nothing is
promised about the estimate: it follows the planner's row counts. Several tables may be told of at the same time, from
several threads; a terminal or pipe that went away is no reason to stop.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from verifier.ports import Clock
from verifier.table import TableName

if TYPE_CHECKING:
    from rich.console import Console

_EVERY_SECONDS = 10.0


class Watcher(Protocol):
    """Told by the audit what it does; must not raise and must not block."""

    def audit_begins(self, tables: int) -> None:
        """So many tables will be read."""
        ...

    def table_begins(self, table: TableName, estimated_rows: int | None) -> None: ...
    def rows_read(self, table: TableName, rows: int, *, suspects: int, drifted: int) -> None:
        """Rows of the leader read since the last call; keys waiting to settle; drift found in this table so far."""
        ...

    def table_ends(self, table: TableName, verdict: str) -> None: ...
    def note(self, message: str) -> None: ...
    def close(self) -> None: ...


@dataclass(slots=True)
class Silent:
    """Says nothing."""

    def audit_begins(self, tables: int) -> None:
        return

    def table_begins(self, table: TableName, estimated_rows: int | None) -> None:
        return

    def rows_read(self, table: TableName, rows: int, *, suspects: int, drifted: int) -> None:
        return

    def table_ends(self, table: TableName, verdict: str) -> None:
        return

    def note(self, message: str) -> None:
        return

    def close(self) -> None:
        return


@dataclass(slots=True)
class _Walk:
    """One table under way."""

    began: float
    estimate: int | None
    rows: int = 0
    suspects: int = 0
    drifted: int = 0


@dataclass(slots=True)
class Lines:
    """One plain line every ten seconds for each table under way, for logs and pipes."""

    now: float
    clock: Clock
    out: TextIO = field(default_factory=lambda: sys.stderr)
    _walks: dict[TableName, _Walk] = field(default_factory=dict)
    _tables: int = 0
    _ended: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def audit_begins(self, tables: int) -> None:
        self._tables = tables

    def table_begins(self, table: TableName, estimated_rows: int | None) -> None:
        with self._lock:
            self._walks[table] = _Walk(self.clock.now(), estimated_rows)

    def rows_read(self, table: TableName, rows: int, *, suspects: int, drifted: int) -> None:
        now = self.clock.now()
        with self._lock:
            walk = self._walks.setdefault(table, _Walk(now, None))
            walk.rows += rows
            walk.suspects, walk.drifted = suspects, drifted
            if now - self.now < _EVERY_SECONDS:
                return
            self.now = now
            self._print(*(_line(name, one, now) for name, one in self._walks.items()))

    def table_ends(self, table: TableName, verdict: str) -> None:
        now = self.clock.now()
        with self._lock:
            walk = self._walks.pop(table, _Walk(now, None))
            self._ended += 1
            of = f" ({self._ended} of {self._tables})" if self._tables > 1 else ""
            self._print(f"{table}: {verdict}, {walk.rows:,} rows in {now - walk.began:.1f} s{of}")

    def note(self, message: str) -> None:
        with self._lock:
            self._print(message)

    def close(self) -> None:
        return

    def _print(self, *lines: str) -> None:
        with gone_is_no_error():
            for line in lines:
                print(visible(line), file=self.out, flush=True)


def _line(table: TableName, walk: _Walk, now: float) -> str:
    rate = walk.rows / max(now - walk.began, 1e-3)
    left = ""
    if walk.estimate and rate:
        left = f", about {duration(max(0.0, (walk.estimate - walk.rows) / rate))} left"
    return f"{table}: {walk.rows:,} rows, {rate:,.0f}/s{left}; {walk.suspects} settling, {walk.drifted} drifted"


class Bar:
    """A live bar on a terminal for each table under way: what is done of it, rows a second, time left."""

    def __init__(self, console: Console | None = None, monotonic: Callable[[], float] = time.monotonic) -> None:
        """`console`: where it is drawn (None: standard error); `monotonic`: seconds, for rate and time left."""
        from rich.console import Console as Terminal
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
            console=console or Terminal(stderr=True, markup=False, emoji=False, highlight=False),
            get_time=monotonic,
            transient=True,
        )
        self._tasks: dict[TableName, Any] = {}
        self._tables = self._ended = 0
        self._lock = threading.Lock()
        self._progress.start()

    def audit_begins(self, tables: int) -> None:
        self._tables = tables

    def table_begins(self, table: TableName, estimated_rows: int | None) -> None:
        with self._lock, gone_is_no_error():
            self._tasks[table] = self._progress.add_task(
                visible(str(table)), total=estimated_rows or None, rate="", state=""
            )

    def rows_read(self, table: TableName, rows: int, *, suspects: int, drifted: int) -> None:
        with self._lock, gone_is_no_error():
            if table not in self._tasks:
                return
            task = next(one for one in self._progress.tasks if one.id == self._tasks[table])
            rate = f"{task.speed:,.0f} rows/s" if task.speed else ""
            state = ([f"{suspects} settling"] if suspects else []) + ([f"{drifted} drifted"] if drifted else [])
            if task.total is not None and task.completed + rows > task.total:
                self._progress.update(task.id, total=task.completed + rows)
            self._progress.update(task.id, advance=rows, rate=rate, state=" ".join(state))

    def table_ends(self, table: TableName, verdict: str) -> None:
        with self._lock, gone_is_no_error():
            self._ended += 1
            if table in self._tasks:
                self._progress.remove_task(self._tasks.pop(table))
            of = f" ({self._ended} of {self._tables})" if self._tables > 1 else ""
            self._progress.console.print(visible(f"{table}: {verdict}{of}"))

    def note(self, message: str) -> None:
        with gone_is_no_error():
            self._progress.console.print(visible(message))

    def close(self) -> None:
        with gone_is_no_error():
            self._progress.stop()


@contextmanager
def gone_is_no_error() -> Iterator[None]:
    """A terminal that was closed, a pipe that nobody reads: what was to be said is lost, and nothing else."""
    try:
        yield
    except (OSError, ValueError):  # ValueError: the file was closed
        return


def visible(text: str) -> str:
    """The text with everything unprintable escaped: a name from a database must not steer a terminal."""
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)


def moment(told: str) -> str:
    """A moment as reports have it, for people: `2026-11-26 10:00:00Z`."""
    return told[:19].replace("T", " ") + "Z"


def duration(seconds: float) -> str:
    """`75` as `1m15s`, `0.4` as `0.4s`."""
    if seconds < 10:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m{rest:02}s" if minutes else f"{rest}s"
