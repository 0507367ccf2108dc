"""The options that say how careful an audit has to be: brakes, connections, tables at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from verifier.brake import Brakes, limit_of, small_enough

if TYPE_CHECKING:
    from trueup.bootstrap.auditing import Plan


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
        """The plan under these limits, which win over what the configuration says of the same brake. Misconfigured if
        an option cannot be understood."""
        known = plan.brakes
        brakes = Brakes(
            known.running_max if self.running_max is None else self.running_max,
            tuple(map(limit_of, self.load_sql)) or known.asked,
            known.lag_seconds if self.lag_max is None else self.lag_max,
            known.rows_per_second if self.rows_per_second is None else self.rows_per_second,
        )
        limits = plan.limits if self.connections is None else replace(plan.limits, connections=self.connections)
        return replace(
            plan,
            brakes=brakes,
            limits=limits,
            pause_file=self.pause_file,
            tables_at_once=self.tables_at_once,
            scan=small_enough(plan.scan, brakes.rows_per_second),
        )
