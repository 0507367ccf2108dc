"""An audit while the leader fails over: what one run sees of which server, and how it ends."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

from simulated.auditor import Auditor
from simulated.failover import Failover
from simulated.faults import Crash
from verifier.errors import Misconfigured, Permanent, Temporary

_LOOKS = ("digest", "row_digests", "point_digests", "rows")


class Overtaken(Auditor):
    """`lines` are the leader's timelines that any of the run's looks were answered from, by table."""

    def __init__(self, history: Failover, random: Random, journal: Path) -> None:
        super().__init__(history, random, journal)
        self.failing = history
        self.lines: dict[str, set[int]] = {}

    def leader(self) -> Any:
        return _Witness(super().leader(), self)

    def outcome(self) -> Mapping[str, Any] | str:
        """The report, or why the run cannot go on. Its operator puts things right and resumes, now or later."""
        resume: str | None = None
        for _ in range(100):
            try:
                report = self._process(resume)
                if report["finished_at"] is not None:
                    return report
                resume = self.run_id
            except Crash:
                self.crashes += 1
                self.faults.crash *= 0.9
                resume = self.run_id
            except Misconfigured as problem:
                if "no run" not in str(problem):
                    return str(problem)
                resume = None
            except (Temporary, Permanent):
                pass  # nobody can be asked
            if self.failing.moved and self.random.random() < 0.4:
                self.failing.put_right(beside=True)
        raise AssertionError("the audit did not end within 100 processes")


class _Witness:
    """Who answers the leader's looks."""

    def __init__(self, replica: Any, seen: Overtaken) -> None:
        self._replica = replica
        self._seen = seen

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._replica, name)
        if name not in _LOOKS:
            return found

        def witnessed(table: Any, asked: Any) -> Any:
            answer = found(table, asked)
            history = self._seen.failing
            server: Any = history.addresses["leader"].server
            self._seen.lines.setdefault(str(table.name), set()).add(server.timeline)
            return answer

        return witnessed
