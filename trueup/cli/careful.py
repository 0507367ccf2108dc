"""The options that say how careful an audit has to be: brakes, connections, tables at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from verifier.brake import Brakes, limit_of

if TYPE_CHECKING:
    from trueup.bootstrap.auditing import Plan
    from verifier.policy import ScanPolicy

_LEAST_ROWS = 10


@dataclass(frozen=True, slots=True)
class Careful:
    """These options as they were typed."""

    running_max: int | None = None
    load_sql: Sequence[str] = ()
    lag_max: float | None = None
    rows_per_second: float | None = None
    pause_file: Path | None = None
    connections: int | None = None
    tables_at_once: int | None = None

    def applied(self, plan: Plan) -> Plan:
        """The plan under these limits. Misconfigured if an option cannot be understood."""
        brakes = Brakes(self.running_max, tuple(map(limit_of, self.load_sql)), self.lag_max, self.rows_per_second)
        limits = plan.limits if self.connections is None else replace(plan.limits, connections=self.connections)
        return replace(
            plan,
            brakes=brakes,
            limits=limits,
            pause_file=self.pause_file,
            tables_at_once=self.tables_at_once,
            scan=_small_enough(plan.scan, self.rows_per_second),
        )


def _small_enough(scan: ScanPolicy, rows_per_second: float | None) -> ScanPolicy:
    """A chunk takes no more than a second's rows, so that the rate is even and not in bursts."""
    if rows_per_second is None:
        return scan
    most = max(_LEAST_ROWS, min(scan.rows_max, int(rows_per_second)))
    return replace(scan, rows_max=most, rows_first=min(scan.rows_first, most), rows_min=min(scan.rows_min, most))
