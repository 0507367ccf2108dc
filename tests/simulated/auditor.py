"""`trueup audit` over a history and a real journal: killed at any call, and resumed until it has its report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

from fixtures.memory_audit import tools

from connectors.journal.opening import open_journal
from simulated.faults import Crash, Faults, Faulty
from simulated.history import History
from trueup.audit.lineup import Lineup
from trueup.audit.progress import Silent
from trueup.audit.request import Request
from trueup.audit.runner import Audit
from verifier.errors import Misconfigured, Temporary
from verifier.policy import ScanPolicy, SettlePolicy

RUN = "run-1"


class _Strict(Silent):
    """A fault of trueup is a fault of the test: nothing here may hide behind `unverified`."""

    def note(self, message: str) -> None:
        assert "a fault of trueup" not in message, message


class Auditor:
    """`report` is the finished report; `crashes` counts the processes that it took."""

    def __init__(self, history: History, random: Random, journal: Path) -> None:
        self.history = history
        self.random = random
        self.path = journal
        self.faults = Faults(random, history.clock)
        self.crashes = 0
        self.run_id = RUN

    def report(self) -> Mapping[str, Any]:
        resume: str | None = None
        for _ in range(200):
            try:
                return self._process(resume)
            except Crash:
                self.crashes += 1
                self.faults.crash *= 0.9  # nobody is killed for ever
                resume = self.run_id
            except Temporary:
                continue  # nobody answered at the start: the user tries again
            except Misconfigured as problem:
                if "no run" not in str(problem):
                    raise
                resume = None  # killed before the run was in the journal
        raise AssertionError("the audit did not end within 200 processes")

    def _process(self, resume: str | None) -> Mapping[str, Any]:
        journal = open_journal(self.path, "shop")
        try:
            known = journal.runs.find(self.run_id)
            if known is not None and known.finished_at is not None:  # killed after its last word
                assert known.report is not None
                return dict(json.loads(known.report))
            audit = self._audit(Faulty(journal.runs, self.faults))
            return dict(audit.run(audit.begin(self.run_id if known is not None else resume)))
        finally:
            journal.close()

    def leader(self) -> Any:
        """The way of one process to the leader."""
        return self.history.replica("leader")

    def _audit(self, runs: Any) -> Audit:
        history, faults = self.history, self.faults
        leader: Any = Faulty(self.leader(), faults)
        followers: dict[str, Any] = {name: Faulty(history.replica(name), faults) for name in history.followers}
        made = tools(
            leader,
            runs,
            group="shop",
            run_id=self.run_id,
            clock=history.clock,
            watcher=_Strict(),
            scan=ScanPolicy(rows_first=3, rows_min=2, rows_max=12, packed_max=4),
            settle=SettlePolicy(wait_first_seconds=0.01, wait_max_seconds=0.2, give_up_seconds=10.0),
        )
        return Audit(made, Lineup(leader, followers, Request()))
