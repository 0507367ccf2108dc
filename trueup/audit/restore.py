"""The restore drill as a whole: whether the recorded moment is one of this leader, and what part of the backup is
proven in the end."""

from __future__ import annotations

from dataclasses import dataclass, field

from trueup.audit.drill import DrillWalk
from trueup.audit.lineup import Lineup, Side
from trueup.audit.progress import Watcher
from trueup.audit.report import Json
from trueup.audit.tools import RowBudget, Tools
from verifier.checklist import several
from verifier.compare import Comparison
from verifier.drift import Verdict
from verifier.errors import Misconfigured, Permanent, Temporary
from verifier.look import Role
from verifier.ports import Replica
from verifier.recorded import Counted, Dated, Recorded
from verifier.table import Table, TableName


@dataclass(slots=True)
class Restore:
    """One drill. `begin` before the audit runs, `walk` is its walker, `close` has the last word on its report."""

    lineup: Lineup
    recorded: Recorded
    dated: Dated | None
    watcher: Watcher
    counted: dict[tuple[str, str], Counted] = field(default_factory=dict)

    def begin(self) -> None:
        """Misconfigured if the moment was recorded on another server, on another timeline of it, or after the backup:
        a leader that was promoted since may have given the same ids to other transactions."""
        recorded, leader = self.recorded, self.lineup.leader
        found = leader.identity()
        if found.system != recorded.system:
            raise Misconfigured(
                f"the position was recorded on cluster {recorded.system}, and {leader.name} is cluster {found.system}; "
                "give the URL of the leader that the backup was taken from"
            )
        if found.timeline != recorded.timeline:
            raise Misconfigured(
                f"{leader.name} is on timeline {found.timeline} and was on {recorded.timeline} when the position was "
                "recorded: since a promotion the same ids may name other transactions; audit a newer backup"
            )
        for name, replica in self.lineup.followers.items():
            told = replica.identity()
            if told.role is Role.STANDBY and not replica.position().covers(recorded.position):
                raise Misconfigured(
                    f"{name} is recovered up to {replica.position().text()} only, which is before the recorded "
                    f"{recorded.position.text()}; recover it further, or record the position before the backup begins"
                )

    def walk(
        self, tools: Tools, table: Table, sides: dict[str, tuple[Replica, Comparison]], budget: RowBudget
    ) -> DrillWalk:
        return DrillWalk(tools, table, sides, budget, self.recorded, self.dated, self.counted)

    def close(self, report: Json) -> Json:
        """The report with what part of each backup is proven."""
        leader = self.lineup.leader
        gone = self._gone({TableName.parse(entry["table"]) for entry in report["tables"]})
        unread = [e for e in report["tables"] if (e["table"], e["follower"]) not in self.counted]
        whole = Counted()
        for entry in report["tables"]:
            found = self.counted.get((entry["table"], entry["follower"]))
            if found is not None:
                whole.add(found)
                entry["restore"] = _told(found)
        if gone and report["verdict"] == Verdict.MATCH.value:
            report["verdict"] = Verdict.UNVERIFIED.value
        words = whole.words()
        words += f", not read: {several(len(unread), 'table')}" if unread else ""
        words += f", {several(len(gone), 'table')} only in the backup: {', '.join(gone[:5])}" if gone else ""
        report["restore"] = {
            "recorded": self.recorded.text(),
            "position": self.recorded.position.text(),
            "leader_stands": self.recorded.quiet and leader.mark() == self.recorded.mark,
            "proven": words,
            "tables_gone": gone,
            **_told(whole),
        }
        return report

    def _gone(self, known: set[TableName]) -> list[str]:
        """Tables that only a restored copy has: dropped since, or never there."""
        found: set[str] = set()
        for replica in self.lineup.followers.values():
            ours = {self.lineup.name_on(replica, name) for name in known}
            try:
                found |= {str(name) for name in replica.tables(self.lineup.request.patterns) if name not in ours}
            except (Temporary, Permanent) as problem:
                self.watcher.note(f"{replica.name}: {problem}")
        return sorted(found)


@dataclass(slots=True)
class DrillLineup(Lineup):
    """Rows without a key cannot be told apart, so the age of one says nothing about its like in the backup."""

    def side(self, table: Table, follower: str) -> Side:
        if not table.key:
            raise Permanent("it has no key: which of its rows the backup must hold cannot be told (name a key)")
        return Lineup.side(self, table, follower)


def _told(found: Counted) -> Json:
    return {
        "percent": found.percent,
        "rows": {
            "backup": found.backup,
            "proven": found.proven,
            "changed": found.changed,
            "gone": found.gone,
            "new": found.new,
        },
    }
