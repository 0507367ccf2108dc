"""The flows that write nothing to a follower: plan, approve, reject, and the verdict of a later look.

Planning reads both rows afresh and asks `plan`. What was planned for the same drift before and no longer fits is
superseded in passing. A repair that ended is planned again, under another id, if the same damage is there again; not
so if a person rejected or undid it, nor once it has failed `FAILURES_MAX` times with the same rows: trueup does not
insist.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from reconciler.casebook import Casebook
from reconciler.plan import propose, refusal, refused_unread, repair_id, where
from reconciler.policy import RepairPolicy
from reconciler.ports import Outlined, RepairRecord
from reconciler.progress import ENDED, LIVE
from reconciler.repair import Outline, Refusal, RefusalReason, Repair, State, outline
from verifier.drift import Drift
from verifier.errors import Permanent
from verifier.excerpt import Hide
from verifier.look import Role, Row
from verifier.ports import Replica
from verifier.table import Key, Table, TableName
from verifier.weight import Batch

BATCH_KEYS = 500
FAILURES_MAX = 3
SETTLED_MAX = 500
"""Repairs that one call supersedes; the others wait for the next."""
_ATTEMPTS_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Plans:
    """`repairs` were planned now or before and wait; `new` of them were not known; `refusals` are the others."""

    repairs: tuple[Outline, ...]
    new: int
    refusals: tuple[Refusal, ...]


@dataclass(frozen=True, slots=True)
class Planned(Plans):
    """The same with the rows."""

    repairs: tuple[Repair, ...]


@dataclass(frozen=True, slots=True)
class Sighting:
    """What a rule of evidence found. `since`: when the looks that judged each key began (seconds since the epoch)."""

    follower: str
    table: TableName
    since: Mapping[Key, float]
    equal: Collection[Key]
    drifted: Collection[Key]


def planned_parts(
    casebook: Casebook,
    drifts: Iterable[Drift],
    *,
    leader: Replica,
    follower: Replica,
    policy: RepairPolicy,
    actor: str,
    now: float,
) -> Iterator[Planned]:
    """Plan for every drift of `follower` among `drifts`, for as many at a time as their rows allow; each plan is
    recorded with its compensating event. A table that cannot be compared or read is refused, and stands in nobody's
    way.

    Raises Temporary as the replicas do; what was recorded before that stays recorded.
    """
    planner = _Planner(casebook, follower.identity().role, policy, actor, now)
    size = Batch(BATCH_KEYS)

    def read(part: Sequence[Drift]) -> tuple[Sequence[Drift], Table, Mapping[Key, Row], Mapping[Key, Row]]:
        comparison = casebook.comparison(part[0].table)  # once: the table may be described anew at any moment
        theirs = comparison.follower
        keys = [drift.key for drift in planner.readable(part, theirs)]
        wanted = leader.rows(comparison.leader, keys).value if keys else {}
        return part, theirs, wanted, follower.rows(theirs, keys).value if keys else {}

    for batch in _batches(drift for drift in drifts if drift.follower == follower.name):
        answers, done = size.parts(batch, read), 0
        while done < len(batch):
            try:
                part, table, wanted, found = next(answers)
            except Permanent as problem:
                planner.refuse(batch[done:], str(problem))
                yield planner.told()
                break
            waiting = {one.repair.drift_id: one for one in casebook.journal.of_drifts([one.id for one in part], *LIVE)}
            for drift in part:
                planner.plan(drift, table, wanted.get(drift.key), found.get(drift.key), waiting.get(drift.id))
            done += len(part)
            yield planner.told()


def approve(casebook: Casebook, repair_ids: Iterable[str], *, actor: str, now: float, note: str = "") -> list[Outline]:
    """Approve planned repairs; returns those that were. Permanent if there is no such repair, Unsound if one is past
    approval."""
    return decide(casebook, _found(casebook, repair_ids), State.APPROVED, actor=actor, now=now, note=note)


def reject(casebook: Casebook, repair_ids: Iterable[str], *, actor: str, now: float, note: str = "") -> list[Outline]:
    """Reject planned or approved repairs; as `approve`."""
    return decide(casebook, _found(casebook, repair_ids), State.REJECTED, actor=actor, now=now, note=note)


def decide(
    casebook: Casebook, records: Iterable[Outlined], state: State, *, actor: str, now: float, note: str = ""
) -> list[Outline]:
    """Move these there, but for those that are there already or that somebody else moves first; returns those that
    were. Unsound if one must not go there, Permanent if its table cannot be compared."""
    moved: list[Outline] = []
    for one in records:
        record = casebook.whole(one) if one.state is not state else None
        if record is not None and casebook.move(record, state, actor=actor, now=now, note=note):
            moved.append(outline(one.repair))
    return moved


def supersede_settled(casebook: Casebook, follower: str, *, actor: str, now: float) -> int:
    """Planned and approved repairs of drift that was found equal by now wait for nobody any more; returns how many."""
    waiting = casebook.journal.settled(follower, State.PLANNED, State.APPROVED, limit=SETTLED_MAX)
    possible = [one for one in waiting if casebook.compared(one.repair.table) is not None]
    note = "a later look found both sides equal"
    return len(decide(casebook, possible, State.SUPERSEDED, actor=actor, now=now, note=note))


def verify_applied(casebook: Casebook, sighting: Sighting, *, actor: str, now: float) -> list[Outlined]:
    """Applied repairs of these keys become verified or failed; returns the records that moved.

    Only looks that began after the repair was applied count: the repair itself verifies nothing.
    """
    equal, drifted = frozenset(sighting.equal), frozenset(sighting.drifted)
    moved: list[Outlined] = []
    for one in casebook.live(sighting.follower, State.APPLIED):
        key = one.repair.key
        since = sighting.since.get(key)
        if one.repair.table != sighting.table or since is None or one.changed_at >= since:
            continue
        if key in drifted:
            state, note = State.FAILED, "a later look found it drifted again"
        elif key in equal:
            state, note = State.VERIFIED, "a later look found it equal"
        else:
            continue
        record = casebook.whole(one)
        after = None if record is None else casebook.move(record, state, actor=actor, now=now, note=note)
        if after is not None:
            moved.append(after.outlined)
    return moved


class _Planner:
    """The answers of one call, recorded part by part."""

    def __init__(self, casebook: Casebook, role: Role, policy: RepairPolicy, actor: str, now: float) -> None:
        self._repairs: list[Repair] = []
        self._refusals: list[Refusal] = []
        self._casebook, self._role, self._policy, self._actor, self._now = casebook, role, policy, actor, now
        self._unrecorded: list[Repair] = []

    def readable(self, drifts: Iterable[Drift], table: Table) -> list[Drift]:
        """Those whose rows have to be read before anything can be said."""
        return [drift for drift in drifts if refused_unread(drift, table, self._role, self._policy) is None]

    def refuse(self, drifts: Iterable[Drift], why: str) -> None:
        """These cannot be compared now."""
        self._refusals += [refusal(drift, RefusalReason.NOT_COMPARED, f"{where(drift)}: {why}") for drift in drifts]

    def plan(
        self, drift: Drift, table: Table, leader: Row | None, follower: Row | None, waiting: Outlined | None
    ) -> None:
        """`table` is the follower's as its row was read by."""
        if waiting is not None and waiting.state in (State.APPLYING, State.APPLIED, State.UNDOING):
            if (record := self._casebook.whole(waiting)) is not None:
                self._repairs.append(record.repair)  # written, or about to be: a later look decides
            return
        answer = propose(
            drift,
            leader,
            follower,
            table=table,
            follower_role=self._role,
            policy=self._policy,
            now=self._now,
            hide=self._hide(drift),
        )
        if isinstance(answer, Repair):
            answer = self._named(drift, answer)
        if waiting is not None and not (isinstance(answer, Repair) and answer.id == waiting.repair.id):
            self._supersede(waiting, answer)
        if isinstance(answer, Refusal):
            self._refusals.append(answer)
        else:
            self._repairs.append(answer)
            self._unrecorded.append(answer)

    def told(self) -> Planned:
        """What was planned since the last call, which is written down now."""
        unrecorded, self._unrecorded = self._unrecorded, []
        new = self._casebook.record(unrecorded, actor=self._actor, now=self._now) if unrecorded else 0
        planned = Planned(tuple(self._repairs), new, tuple(self._refusals))
        self._repairs, self._refusals = [], []
        return planned

    def _named(self, drift: Drift, repair: Repair) -> Repair | Refusal:
        """The repair under the first id that is free or still alive."""
        failures = 0
        for attempt in range(_ATTEMPTS_MAX):
            name = repair_id(repair.drift_id, repair.wanted, repair.expected, attempt, self._hide(drift))
            known = self._casebook.journal.find(name)
            if known is None:
                return replace(repair, id=name)
            if known.state not in ENDED:
                return known.repair
            failures += known.state is State.FAILED
            if known.state in (State.REJECTED, State.UNDONE) or failures >= FAILURES_MAX:
                advice = f"{where(drift)}: repair {name} was {known.state.value}: {known.note or 'no reason was given'}"
                return refusal(drift, RefusalReason.ALREADY_TRIED, advice)
        advice = f"{where(drift)}: repaired {_ATTEMPTS_MAX} times already; find out who damages this row"
        return refusal(drift, RefusalReason.ALREADY_TRIED, advice)

    def _hide(self, drift: Drift) -> Hide | None:
        return self._casebook.announcer.masking.hide(drift.table)

    def _supersede(self, waiting: Outlined, answer: Repair | Refusal) -> None:
        note = f"replaced by {answer.id}" if isinstance(answer, Repair) else answer.reason.value
        decide(self._casebook, [waiting], State.SUPERSEDED, actor=self._actor, now=self._now, note=note)


def _found(casebook: Casebook, repair_ids: Iterable[str]) -> Iterator[RepairRecord]:
    for repair_id_ in repair_ids:
        record = casebook.journal.find(repair_id_)
        if record is None:
            raise Permanent(f"no repair {repair_id_}; list them with: trueup repairs")
        yield record


def _batches(drifts: Iterable[Drift]) -> Iterator[Sequence[Drift]]:
    """Drifts of one table each, at most `BATCH_KEYS` long; of as many drifts those of a table are read at once."""
    left = iter(drifts)
    while some := list(islice(left, BATCH_KEYS)):
        by_table: dict[TableName, list[Drift]] = {}
        for drift in some:
            by_table.setdefault(drift.table, []).append(drift)
        yield from by_table.values()
