"""When to hold back: decisions over numbers that others read. Pure.

A limit that is reached holds everything until it is not any more; a number that is not known holds nothing (whoever
is away is waited for elsewhere). The rate is exact: over any time, no more rows are read than it allows, plus what was
asked for first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from verifier.errors import Misconfigured
from verifier.policy import ScanPolicy
from verifier.table import Value

KINDS = ("load", "lag", "rate", "pause")
_LEAST_ROWS = 10


@dataclass(frozen=True, slots=True)
class Held:
    """Not now. `kind` is one of `KINDS`; `why` completes "waiting: "; `source` stays the same while the same thing
    holds, whatever its number is."""

    kind: str
    why: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class Brakes:
    """The limits; None or empty: that brake is off.

    `running_max`: statements that run on any server; `asked`: a user's SQL and the number that its first value must not
    pass, asked on the leader and on followers of its engine; `lag_seconds`: of any follower; `rows_per_second`: of the
    leader's rows, all tables together.
    """

    running_max: int | None = None
    asked: tuple[tuple[str, float], ...] = ()
    lag_seconds: float | None = None
    rows_per_second: float | None = None

    def __post_init__(self) -> None:
        if self.running_max is not None and self.running_max < 1:
            raise Misconfigured(f"the limit of running statements is {self.running_max}; it must be at least 1")
        if self.lag_seconds is not None and self.lag_seconds <= 0:
            raise Misconfigured(f"the limit of lag is {self.lag_seconds} s; it must be above 0")
        if self.rows_per_second is not None and self.rows_per_second <= 0:
            raise Misconfigured(f"the limit of rows is {self.rows_per_second} a second; it must be above 0")

    @property
    def by_load(self) -> bool:
        return self.running_max is not None or bool(self.asked)

    def load(self, server: str, running: int) -> Held | None:
        """Of statements that run on one server."""
        if self.running_max is None or running <= self.running_max:
            return None
        return Held("load", f"{running} statements run on {server}, more than {self.running_max}", server)

    def answer(self, server: str, sql: str, value: Value, limit: float) -> Held | None:
        """Of what a user's SQL told. Misconfigured if that is no number; NULL holds nothing."""
        if value is None:
            return None
        try:
            told = float(value)
        except ValueError:
            raise Misconfigured(f"the load limit {sql!r} told {value!r} on {server}, which is no number") from None
        if told <= limit:
            return None
        return Held("load", f"{sql!r} tells {value} on {server}, more than {limit:g}", f"{server}: {sql}")

    def lag(self, seconds: Mapping[str, float | None]) -> Held | None:
        """Of followers' lag; None: not known."""
        if self.lag_seconds is None:
            return None
        late = {name: lag for name, lag in seconds.items() if lag is not None and lag > self.lag_seconds}
        if not late:
            return None
        name = max(late, key=lambda one: late[one])
        return Held("lag", f"{name} lags by more than {self.lag_seconds:g} s", name)


def limit_of(text: str) -> tuple[str, float]:
    """`SQL=NUMBER` in two, at the last `=`. Misconfigured if it is not that."""
    sql, equals, number = text.rpartition("=")
    try:
        limit = float(number)
    except ValueError:
        equals = ""
    if not equals or not sql.strip():
        raise Misconfigured(f"{text!r}: needs SQL=NUMBER, for example 'select count(*) from pg_locks=500'")
    return sql.strip(), limit


def small_enough(scan: ScanPolicy, rows_per_second: float | None) -> ScanPolicy:
    """Chunks of no more than a second's rows, so that the rate is even and not in bursts."""
    if rows_per_second is None:
        return scan
    most = max(_LEAST_ROWS, min(scan.rows_max, int(rows_per_second)))
    return replace(scan, rows_max=most, rows_first=min(scan.rows_first, most), rows_min=min(scan.rows_min, most))


@dataclass(slots=True)
class Rate:
    """Rows per second, as a debt: whoever takes rows moves the time at which others may take some."""

    rows_per_second: float
    _free_at: float | None = None

    def wait(self, now: float) -> float:
        """Seconds until rows may be taken; 0 if they may be now."""
        return 0.0 if self._free_at is None else max(0.0, self._free_at - now)

    def take(self, rows: float, now: float) -> None:
        """Rows are being read. Idle time is not saved up."""
        since = now if self._free_at is None else max(self._free_at, now)
        self._free_at = since + rows / self.rows_per_second

    def correct(self, rows: float) -> None:
        """More rows (or fewer: below 0) were read than were taken."""
        if self._free_at is not None:
            self._free_at += rows / self.rows_per_second
