"""Plan, and as far as the policy allows apply, repairs of one follower; and let later looks judge them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

from reconciler.applying import Step, Taken, Target, apply_approved, within
from reconciler.casebook import Casebook
from reconciler.events import Announcer
from reconciler.guard import Brake
from reconciler.policy import Mode, RepairPolicy
from reconciler.ports import RepairJournal, RepairRecord, RepairSink
from reconciler.repair import Outline, Refusal, RefusalReason, State, outline
from reconciler.repairing import Plans, Sighting, planned_parts, supersede_settled, verify_applied
from reconciler.undoing import undo
from trueup.services.group import GroupWorld
from trueup.services.sweep import DriftSweep
from verifier.compare import Comparison
from verifier.drift import Drift
from verifier.errors import Permanent
from verifier.journal import DriftJournal, StreamJournal
from verifier.table import Key, TableName

logger = logging.getLogger("trueup.repair")

ACTOR = "trueup"
_EVERY_SECONDS = 1.0
_WAIT_SECONDS = 2.0
_REMIND_SECONDS = 15.0
_OVER_BUDGET_SECONDS = 900.0
_BUDGETS = (Brake.HOUR_BUDGET, Brake.TABLE_SHARE)
"""What an operator has to know of. That of one run is spent anew a second later."""


class Comparisons(Mapping[TableName, Comparison]):
    """The table book as the reconciler wants it: comparisons by table; those that cannot be compared are absent."""

    def __init__(self, world: GroupWorld, follower: str) -> None:
        self._world, self._follower = world, follower

    def __getitem__(self, table: TableName) -> Comparison:
        compared = self._world.book.pair(self._follower, table).compared
        if compared is None:
            raise KeyError(table)
        return compared

    def __iter__(self) -> Iterator[TableName]:
        return iter(self._world.book.names())

    def __len__(self) -> int:
        return len(self._world.book.names())


@dataclass(slots=True)
class RepairService:
    """One follower. `sink` is None where nothing may be written (mode `off` or `propose`, a standby); `opening` makes
    it, and tells which tables refer to which, once the follower can be asked."""

    world: GroupWorld
    follower: str
    drifts: DriftJournal
    repairs: RepairJournal
    stream: StreamJournal
    announcer: Announcer
    policy: RepairPolicy
    sink: RepairSink | None
    references: Mapping[TableName, Collection[TableName]] = field(default_factory=dict)
    opening: Callable[[], tuple[RepairSink | None, Mapping[TableName, Collection[TableName]]]] | None = None
    moved: Callable[[State, int], None] = lambda state, count: None
    refused: Callable[[RefusalReason], None] = lambda reason: None
    late: Callable[[], str] = lambda: ""
    """Why the follower is too late to be written to, for it may correct itself; empty if it is not."""
    _late: bool = False
    _sweep: DriftSweep | None = None
    _waiting: dict[str, str] = field(default_factory=dict)
    _remind_at: float = 0.0
    _over_budget_at: float = 0.0

    @property
    def name(self) -> str:
        return f"repair:{self.follower}"

    def tick(self, now: float) -> float:
        """Plan for new drift; apply what is approved. Temporary while a server is away."""
        self._remind(now)
        if self.policy.mode is Mode.OFF:
            return 60.0
        if self.world.paused(None):
            return _EVERY_SECONDS
        self.plan(now)
        if self.policy.mode in (Mode.APPROVE, Mode.APPLY) and self.writable() and not self._too_late():
            self.apply(now, shown=False)
        return _EVERY_SECONDS

    def forget_settled(self, now: float, *, actor: str = ACTOR) -> None:
        """Nobody has to decide about repairs of what is equal by now."""
        self.moved(State.SUPERSEDED, supersede_settled(self.casebook(), self.follower, actor=actor, now=now))

    def plan(self, now: float, *, actor: str = ACTOR) -> Plans | None:
        """Plans for the next page of the follower's open drift, without rows; None once all of it has been planned for,
        until more is found, or some of it again."""
        if self._sweep is None:
            self._sweep = DriftSweep(self.drifts, self.follower)
        waiting = self._sweep.page()
        if not waiting:
            return None
        repairs: list[Outline] = []
        refusals: list[Refusal] = []
        new = 0
        for part in planned_parts(
            self.casebook(),
            [one.drift for one in waiting],
            leader=self.world.leader,
            follower=self.world.followers[self.follower],
            policy=self.policy,
            actor=actor,
            now=now,
        ):
            repairs += map(outline, part.repairs)
            refusals += part.refusals
            new += part.new
        self._sweep.done(waiting)
        self.moved(State.PLANNED, new)
        for refusal in refusals:
            self.refused(refusal.reason)
            logger.info(
                "repair refused",
                extra={"action": "repair_refused", "drift": refusal.drift_id, "why": refusal.reason.value},
            )
        return Plans(tuple(repairs), new, tuple(refusals))

    @property
    def planning(self) -> bool:
        """Of what had been found when the first of these pages was planned for there may be more."""
        return self._sweep is not None and self._sweep.under_way

    def apply(
        self, now: float, *, policy: RepairPolicy | None = None, actor: str = ACTOR, shown: bool = True
    ) -> list[Taken]:
        """Apply what is approved, then have the rows looked at again by the rules of evidence. Not `shown`: nobody
        reads statements."""
        taken = apply_approved(
            self.casebook(),
            self._target(),
            self.drifts,
            policy or self.policy,
            actor=actor,
            now=now,
            reached=within(self.world.clock, _WAIT_SECONDS),
            time=self.world.clock.now,
            shown=shown,
        )
        self.moved(State.FAILED, sum(one.step is Step.FAILED for one in taken))
        self.moved(State.SUPERSEDED, sum(one.step is Step.SUPERSEDED for one in taken))
        self._tell(taken)
        written = [one for one in taken if one.step in (Step.APPLIED, Step.FOUND_APPLIED)]
        if written:
            self.moved(State.APPLIED, len(written))
            self._look_again([one.repair for one in written])
        return taken

    def undo(self, record: RepairRecord, *, dry_run: bool, actor: str, note: str) -> Taken:
        """Undo one verified repair, then have the row looked at again, for it is drift once more."""
        now, again = self.world.clock.now, partial(self._look_again, [record.repair])
        taken = undo(
            self.casebook(), self._target(), record, actor=actor, note=note, dry_run=dry_run, time=now, written=again
        )
        if taken.step in (Step.APPLIED, Step.FOUND_APPLIED):
            self.moved(State.UNDONE, 1)
        return taken

    def _target(self) -> Target:
        if not self.writable():
            why = f"repair.mode is {self.policy.mode.value}, or it is no logical subscriber"
            raise Permanent(f"nothing may be written to {self.follower}: {why}")
        assert self.sink is not None
        return Target(self.world.leader, self.world.followers[self.follower], self.sink, self.references)

    def _too_late(self) -> bool:
        """Told once for as long as it lasts."""
        why = self.late()
        if why and not self._late:
            told = {"action": "repair_waits", "follower": self.follower, "why": why}
            logger.warning("repairs wait", extra=told)
        self._late = bool(why)
        return self._late

    def _remind(self, now: float) -> None:
        """Have applied repairs looked at that nobody may be going to look at: a process can be killed between the write
        and the note that asks for the look, and between the look and its verdict on the repair. And let go of repairs
        that nobody needs any more."""
        if now < self._remind_at:
            return
        began = self._remind_at == 0.0
        applied = self.casebook().live(self.follower, State.APPLIED)
        late = [one.repair for one in applied if began or one.changed_at <= now - _REMIND_SECONDS]
        if late:
            self._look_again(late)
        self.forget_settled(now)
        self._remind_at = now + _REMIND_SECONDS

    def _look_again(self, repairs: Collection[Outline]) -> None:
        position = self.world.leader.position()
        keys = {(repair.table, repair.key): position for repair in repairs}
        self.stream.touch(keys, followers=[self.follower], at=self.world.clock.now())

    def _tell(self, taken: Collection[Taken]) -> None:
        """Log what keeps repairs waiting, once; what the follower said of a failed one may hold values: only its id."""
        held = {one.repair.id: one.note for one in taken if one.step in (Step.HELD, Step.WAITING)}
        for repair, why in held.items():
            if self._waiting.get(repair) != why:
                logger.warning("repair waits", extra={"action": "repair_waits", "repair": repair, "why": why})
        self._count_over_budget(taken)
        self._waiting = held
        for one in taken:
            if one.step is Step.FAILED:
                logger.warning("repair failed", extra={"action": "repair_failed", "repair": one.repair.id})

    def _count_over_budget(self, taken: Collection[Taken]) -> None:
        """Each once, and while that lasts one more now and then, so that whoever watches the hour sees it."""
        held = [one.repair.id for one in taken if one.brake in _BUDGETS]
        now = self.world.clock.now()
        new = sum(repair not in self._waiting for repair in held)
        if held and not new and now >= self._over_budget_at:
            new = 1
        if new:
            self._over_budget_at = now + _OVER_BUDGET_SECONDS
        for _ in range(new):
            self.refused(RefusalReason.OVER_BUDGET)

    def writable(self) -> bool:
        """Whether the follower can be written. Temporary while that cannot be asked."""
        if self.opening is not None:
            self.sink, self.references = self.opening()
            self.opening = None
        return self.sink is not None

    def judged(
        self, table: TableName, since: Mapping[Key, float], equal: Collection[Key], drifts: Collection[Drift]
    ) -> int:
        """A rule of evidence looked at these keys, at each since `since`: applied repairs of them are verified or
        failed."""
        if not self.repairs.listed(State.APPLIED, follower=self.follower, limit=1):
            return 0
        sighting = Sighting(self.follower, table, since, equal, [drift.key for drift in drifts])
        moved = verify_applied(self.casebook(), sighting, actor=ACTOR, now=self.world.clock.now())
        for record in moved:
            self.moved(record.state, 1)
            logger.info(
                "repair judged",
                extra={"action": f"repair_{record.state.value}", "repair": record.repair.id, "table": str(table)},
            )
        return len(moved)

    def casebook(self) -> Casebook:
        return Casebook(self.repairs, self.announcer, Comparisons(self.world, self.follower))

    def close(self) -> None:
        if self.sink is not None:
            self.sink.close()
