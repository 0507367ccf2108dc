"""The demo, told step by step. It checks what it claims: it ends well only if exactly the planted rows were found,
their repairs were verified by a later look, and nothing else was ever named."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from config.settings import Settings
from dashboards.report.html import page
from reconciler.applying import Step
from reconciler.policy import Mode
from reconciler.repair import State
from reconciler.repairing import approve
from trueup.audit.inline import shown
from trueup.audit.progress import Silent
from trueup.audit.request import Request
from trueup.bootstrap.auditing import open_audit, plan_of
from trueup.bootstrap.group import GroupRuntime, repair_policy
from trueup.demo import damage
from trueup.demo.stage import Servers, Watch
from trueup.demo.telling import Teller
from trueup.demo.workload import Shop
from verifier.drift import Drift
from verifier.errors import TrueupError
from verifier.invariant import Standing
from verifier.lag import HopLag
from verifier.table import Key, TableName

_PATIENCE_SECONDS = 40.0
_QUIET_SECONDS = 2.0
ACTOR = "demo"


class Unexpected(TrueupError):
    """The demo did not show what it should: a bug, or a machine that is far too slow."""


@dataclass(slots=True)
class Demo:
    """One run. `folder` keeps the configuration, the report and the events; everything else vanishes."""

    folder: Path
    tell: Teller = field(default_factory=Teller)
    _watch: Watch | None = None

    def run(self) -> None:
        """Unexpected if something planted was not found or not repaired, or if anything else was named."""
        began = time.monotonic()
        with ExitStack() as undo:
            try:
                self._play(undo)
            except KeyboardInterrupt:
                self.tell.line("stopped by you: removing the servers")
                raise
            with self.tell.step("stopping and removing the servers"):
                undo.close()
        self.tell.end(f"all as it should be, in {time.monotonic() - began:.0f} s")

    def _play(self, undo: ExitStack) -> None:
        with self.tell.step("starting a leader, a physical standby and a logical subscriber") as note:
            servers = Servers.start(undo)
            note(f"PostgreSQL {servers.version} ({servers.source}), 60,000 rows, replicating")
        settings = servers.configure(self.folder)
        shop = servers.open_shop(undo)
        self._watch = Watch.start(settings, undo)
        group = self._watch.group
        self._first_scan(group, shop)
        planted = self._damage(servers, group)
        self._repair(group, planted)
        self._invariant(servers, group)
        self._events(group)
        self._watch.stop()
        shop.close()
        if shop.error:
            raise Unexpected(f"a writer of the demo's shop failed: {shop.error}")
        self._report(settings)

    def _first_scan(self, group: GroupRuntime, shop: Shop) -> None:
        with self.tell.step("the daemon follows, verifies and scans while the shop is open") as note:
            before, at = shop.changes, time.monotonic()
            names = group.world.book.names()
            self._until(lambda: all(group.journal.scans.oldest(names).values()), "the first scan")
            rate = (shop.changes - before) / max(0.1, time.monotonic() - at)
            note(f"{len(names)} tables compared on 2 followers; the shop changes {rate:,.0f} rows/s")
        told: list[HopLag] = []

        def known() -> bool:
            followers, hops = group.lag.told(time.time())
            told[:] = [*hops, *followers]
            return len(followers) == len(group.world.followers) and all(lag.seconds is not None for lag in told)

        self._until(known, "the first look at lag")
        for lag in told:
            self.tell.line(f"lag of {lag.hop:<11} {lag.seconds:>6.2f} s   {lag.state.value}")
        self._nothing_else(group, set())

    def _damage(self, servers: Servers, group: GroupRuntime) -> dict[tuple[TableName, Key], Drift]:
        with self.tell.step("damaging four rows of the subscriber, each in its own way") as note:
            damage.plant(servers.leader, servers.subscriber)
            planted_at = time.time()
            note("two changes were lost on the way, two rows changed behind replication's back")
        found: dict[tuple[TableName, Key], Drift] = {}
        with self.tell.step("waiting for trueup to notice") as note:

            def all_found() -> bool:
                for one in group.journal.drifts.open():
                    self._name(one.drift, found, planted_at)
                return len(found) == len(damage.PLANTED)

            self._until(all_found, "the planted rows to be found")
            time.sleep(_QUIET_SECONDS)
            self._nothing_else(group, set(damage.PLANTED))
            note(f"{len(found)} of {len(damage.PLANTED)} found, and no other row was named")
        return found

    def _name(self, drift: Drift, found: dict[tuple[TableName, Key], Drift], planted_at: float) -> None:
        place = (drift.table, drift.key)
        if place in found:
            return
        if place not in damage.PLANTED or damage.PLANTED[place][0] is not drift.kind:
            raise Unexpected(f"{drift.kind.value} {drift.table} {drift.key} was named, but nobody damaged it so")
        found[place] = drift
        evidence = drift.evidence
        self.tell.line(
            f"{drift.kind.value:<10} {drift.table} {drift.key}  after {max(0.0, drift.found_at - planted_at):.1f} s: "
            f"{damage.PLANTED[place][1]}  [{evidence.certainty.value}, {evidence.method.value}]",
            "red",
        )
        if len(drift.columns) <= 2:
            for name, both in drift.columns.items():
                self.tell.line(
                    f"           {name}: leader {shown(both.leader)}, {drift.follower} {shown(both.follower)}"
                )

    def _repair(self, group: GroupRuntime, planted: dict[tuple[TableName, Key], Drift]) -> None:
        service = group.repair["subscriber"]
        repairs = group.journal.repairs
        with self.tell.step("planning repairs: compare-and-set on fresh rows, nothing is written yet") as note:
            self._until(lambda: len(repairs.listed(State.PLANNED)) >= len(planted), "the plans")
            ids = [record.repair.id for record in repairs.listed(State.PLANNED)]
            # Before they are approved, for then the daemon applies them at once: as if the policy were to approve them.
            dry = replace(repair_policy(group.settings, dry_run=True), mode=Mode.APPLY)
            preview = service.apply(time.time(), policy=dry, actor=ACTOR)
            approve(service.casebook(), ids, actor=ACTOR, now=time.time(), note="approved by the demo")
            note(f"{len(ids)} repairs approved")
        for taken in preview:
            if taken.step is Step.PREVIEW:
                self.tell.line(_shortened(taken.statement))
        with self.tell.step("applying them, and waiting for later looks to judge them") as note:
            self._until(lambda: len(repairs.listed(State.VERIFIED)) == len(planted), "the repairs to be verified")
            self._until(lambda: not group.journal.drifts.open(), "the drift to be cleared")
            note(f"{len(planted)} repairs applied and verified; {len(repairs.audit())} lines in the audit table")
        if repairs.audit_broken_at() is not None:
            raise Unexpected("the audit chain does not hold")

    def _invariant(self, servers: Servers, group: GroupRuntime) -> None:
        with self.tell.step("booking money without its balance, on the leader") as note:
            damage.break_invariant(servers.leader)
            findings = group.check.findings

            def noticed() -> bool:
                finding = findings.get("ledger_equals_balances")
                return finding is not None and finding.standing is Standing.VIOLATED

            self._until(noticed, "the invariant to be found violated")
            finding = findings["ledger_equals_balances"]
            note(f"invariant {finding.name} violated: {dict(finding.sample[0])}")
        self._nothing_else(group, set())

    def _events(self, group: GroupRuntime) -> None:
        path = self.folder / "events.jsonl"
        kinds: Counter[str] = Counter()

        def sent() -> bool:
            """All of them: the last, of the broken invariant, is noted a moment after it was found."""
            if group.journal.outbox.pending_count() or not path.exists():
                return False
            kinds.clear()
            kinds.update(json.loads(line)["type"] for line in path.read_text().splitlines())
            return any(".invariant." in kind for kind in kinds)

        with self.tell.step("sending the events") as note:
            self._until(sent, "the events to be sent")
            note(f"{kinds.total()} CloudEvents in {path}")
        for kind, count in sorted(kinds.items()):
            self.tell.line(f"{count:3}  {kind}")

    def _report(self, settings: Settings) -> None:
        with self.tell.step("auditing once more, everything, now that the shop is closed") as note:
            group = settings.groups[0]
            plan = plan_of(group, settings.journal.address(), Request(group.tables.patterns()))
            opened = open_audit(plan, run=None, watcher=Silent(), stop=lambda: False)
            try:
                report = opened.audit.run(opened.audit.begin(None))
            finally:
                opened.close()
            path = self.folder / "report.html"
            path.write_text(page(report), encoding="utf-8")
            (self.folder / "report.json").write_text(json.dumps(report, indent=2), encoding="utf-8")
            rows = sum(entry["rows"]["leader"] for entry in report["tables"])
            note(f"verdict: {report['verdict']}, {rows:,} rows; report in {path}")
        if report["verdict"] != "match":
            raise Unexpected(f"the last audit says {report['verdict']}; see {path}")

    def _nothing_else(self, group: GroupRuntime, allowed: set[tuple[TableName, Key]]) -> None:
        """No drift but the planted, on any follower."""
        for one in group.journal.drifts.open():
            if (one.drift.table, one.drift.key) not in allowed or one.drift.follower != "subscriber":
                raise Unexpected(f"{one.drift.table} {one.drift.key} on {one.drift.follower} was named, but is right")

    def _until(self, holds: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not holds():
            faults = self._watch.faults() if self._watch is not None else []
            if faults:
                raise Unexpected("; ".join(faults))
            if time.monotonic() > deadline:
                raise Unexpected(f"waited {_PATIENCE_SECONDS:.0f} s for {what}, in vain")
            time.sleep(0.05)


def _shortened(statement: str) -> str:
    flat = " ".join(statement.split())
    return flat if len(flat) <= 150 else flat[:147] + "..."
