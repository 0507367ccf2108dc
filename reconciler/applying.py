"""The flow that writes: approved repairs, one by one, each on rows read just before.

Each repair goes through the same steps, and only one is held with its rows. (1) Read the leader's row and its position,
wait until the follower has applied that position, read the follower's row, read the leader's row again: it must be the
same version. Otherwise a row whose insert is still on its way could be inserted here and stop the follower's own apply.
(2) If the rows are no longer those of the plan, it is superseded. (3) Ask the guard. (4) Journal: `applying`. (5)
Compare-and-set on the follower. (6) Journal: what became of it, with its audit line and event.

Killed between 4 and 6, the repair is found `applying` and goes through the same steps again: if the follower's row is
what was wanted, it is recorded as applied ("found applied") and not written again; if the row is still the expected
one, it was not written, and now is (where the server ends the first write only now, the second one fails, and it is
"found applied" as well); if it is neither, somebody else wrote, and it is superseded.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace

from reconciler.casebook import Casebook
from reconciler.guard import HOUR_SECONDS, Admission, Brake, Held, Spent, admit, within_share
from reconciler.order import ordered
from reconciler.policy import Mode, RepairPolicy
from reconciler.ports import Outcome, Outlined, RepairRecord, RepairSink
from reconciler.repair import Outline, Repair, State
from reconciler.repairing import decide
from reconciler.rows import equal_rows
from verifier.errors import Forbidden, Permanent, Temporary
from verifier.journal import DriftJournal
from verifier.look import Row
from verifier.ports import Clock, Replica
from verifier.position import Position
from verifier.table import Table, TableName, Value
from verifier.weight import ROWS_BYTES

Reached = Callable[[Replica, Position], bool]
"""Whether the follower has applied the position, perhaps after waiting for it a little."""

POLICY_ACTOR = "policy"
APPROVED_MAX = 1_000
"""Repairs that the policy approves in one call; the others wait for the next."""
HELD_MAX = 100
"""Repairs of tables of which too much differs that one call speaks of."""
FOUND_APPLIED = "found applied: the follower's row was already the wanted one"
UNTOLD = "-- not shown, for those before it are too large together; its event tells the row"
"""Stands for the statement of a repair."""
_MOVED = "somebody else moved it first"


class Step(enum.Enum):
    """What happened to one repair in one call."""

    PREVIEW = "would be applied"
    APPLIED = "applied"
    FOUND_APPLIED = "found applied"
    SUPERSEDED = "superseded"
    FAILED = "failed"
    HELD = "held"
    WAITING = "the follower is behind, or the server is busy or away"


@dataclass(frozen=True, slots=True)
class Taken:
    """`statement` is the SQL, for people to read, of a repair that was or would be applied; it shows values, of masked
    columns their masks. `brake` is what holds one that is held by the policy."""

    repair: Outline
    step: Step
    note: str = ""
    statement: str = ""
    brake: Brake | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """One follower and how it is written. `references` names the tables that each table's foreign keys refer to."""

    leader: Replica
    follower: Replica
    sink: RepairSink
    references: Mapping[TableName, Collection[TableName]] = field(default_factory=dict)


def applied_now(follower: Replica, position: Position) -> bool:
    """A `Reached` that asks once."""
    return follower.position().covers(position)


def within(clock: Clock, seconds: float, pause: float = 0.02) -> Reached:
    """A `Reached` that waits at most `seconds`, asking every `pause` seconds."""

    def reached(follower: Replica, position: Position) -> bool:
        give_up = clock.now() + seconds
        while not follower.position().covers(position):
            if clock.now() >= give_up:
                return False
            clock.sleep(pause)
        return True

    return reached


def apply_approved(
    casebook: Casebook,
    target: Target,
    drifts: DriftJournal,
    policy: RepairPolicy,
    *,
    actor: str,
    now: float,
    reached: Reached = applied_now,
    time: Callable[[], float] | None = None,
    shown: bool = True,
) -> list[Taken]:
    """Apply what is approved for `target.follower`, within the policy; with `dry_run` only say what would be done.

    Interrupted repairs are resolved first. In mode `apply`, planned repairs are approved by the policy here. A failure
    ends the call if the policy says so, and so does a server that is busy or away. A table that cannot be read or may
    not be written holds its own repairs alone, and is raised (Permanent, Forbidden) only if nothing was applied. Raises
    Permanent where trying on is useless for every repair (the follower is not writable), Unsound if it is the leader.

    `now` dates the budgets; `time` (seconds since the epoch; without it `now`) is asked behind each write. Not `shown`:
    nobody reads statements.
    """
    name = target.follower.name
    drifted = _counted(drifts, name)
    lost = [table for table in drifted if casebook.compared(table) is None]
    states = [State.APPROVED]
    if policy.mode is Mode.APPLY:
        if policy.dry_run:
            states.append(State.PLANNED)
        else:
            planned = casebook.live(name, State.PLANNED, tables_out=lost, limit=APPROVED_MAX)
            possible = [one for one in planned if casebook.compared(one.repair.table) is not None]
            decide(casebook, possible, State.APPROVED, actor=POLICY_ACTOR, now=now)
    # What is held for its table's sake must not fill the list: it stays, however much there is of it.
    crowded = [table for table, count in drifted.items() if table not in lost and _over(casebook, table, count, policy)]
    statements = _Statements(casebook, target.sink, ROWS_BYTES if shown else 0, UNTOLD if shown else "")
    applier = _Applier(casebook, target, policy, reached, actor, now, time or (lambda: now), drifted, statements)
    undecided = casebook.live(name, State.APPLYING)
    free = casebook.live(name, *states, tables_out=[*crowded, *lost])
    held = casebook.journal.listed(*states, follower=name, tables_in=crowded, limit=HELD_MAX) if crowded else []
    records = {record.repair.id: record for record in [*undecided, *free, *held]}
    waiting = ordered((record.repair for record in [*free, *held]), target.references)
    taken: list[Taken] = []
    for repair in [*(record.repair for record in undecided), *waiting]:
        taken.append(applier.take(records[repair.id]))
        if taken[-1].step is Step.WAITING or (taken[-1].step is Step.FAILED and policy.stop_on_failure):
            break
    if applier.barred and not applier.applied:
        raise next(iter(applier.barred.values()))
    return taken


def _over(casebook: Casebook, table: TableName, drifted: int, policy: RepairPolicy) -> bool:
    """Whether too much of the table differs for any of its rows to be repaired."""
    return within_share(casebook.comparison(table).follower, drifted, policy) is not None


def _counted(drifts: DriftJournal, follower: str) -> Mapping[TableName, int]:
    counted: dict[TableName, int] = {}
    for (name, table, _kind), number in drifts.counts().items():
        if name == follower:
            counted[table] = counted.get(table, 0) + number
    return counted


@dataclass(frozen=True, slots=True)
class _Rows:
    leader: Row | None
    follower: Row | None
    moving: bool


@dataclass(slots=True)
class _Statements:
    """The SQL of repairs while it fits into `room` bytes together, and then `untold`."""

    casebook: Casebook
    sink: RepairSink
    room: int
    untold: str

    def of(self, table: Table, repair: Outline) -> str:
        if self.room <= 0:
            return self.untold
        if not isinstance(repair, Repair):
            record = self.casebook.journal.find(repair.id)
            if record is None:
                return ""
            repair = record.repair
        told = self.casebook.statement(self.sink, table, repair)
        self.room -= len(told)
        return told


class _Applier:
    """One call: what it works with, and how many repairs it has applied."""

    def __init__(
        self,
        casebook: Casebook,
        target: Target,
        policy: RepairPolicy,
        reached: Reached,
        actor: str,
        now: float,
        time: Callable[[], float],
        drifted: Mapping[TableName, int],
        statements: _Statements,
    ) -> None:
        self._casebook, self._target, self._policy, self._reached = casebook, target, policy, reached
        self._actor, self._time, self._drifted, self._statements = actor, time, drifted, statements
        self.applied = 0
        self.barred: dict[TableName, Permanent] = {}
        self._in_hour = casebook.journal.applied_since(now - HOUR_SECONDS)

    def take(self, outlined: Outlined) -> Taken:
        """All steps for one repair."""
        repair = outlined.repair
        compared = self._casebook.compared(repair.table)
        if compared is None:
            return Taken(repair, Step.HELD, f"{repair.table} cannot be compared now")
        if (barred := self.barred.get(repair.table)) is not None:
            return Taken(repair, Step.HELD, str(barred))
        table = compared.follower
        if outlined.state is not State.APPLYING and isinstance(admission := self._admission(table), Held):
            return self._held(table, repair, admission)  # what is held anyway costs nobody a read
        record = self._casebook.whole(outlined)
        if record is None:
            return Taken(repair, Step.HELD, _MOVED)
        return replace(self._tried(record, table), repair=repair)

    def _tried(self, record: RepairRecord, table: Table) -> Taken:
        repair = record.repair
        try:
            rows = self._fresh(repair)
        except Temporary as error:
            return Taken(repair, Step.WAITING, str(error))
        except Permanent as error:
            self.barred[repair.table] = error
            return Taken(repair, Step.HELD, str(error))
        if rows is None:
            behind = f"{self._target.follower.name} has not applied the leader's position yet"
            return Taken(repair, Step.WAITING, behind)
        if rows.moving:
            return Taken(repair, Step.HELD, "the leader's row is changing right now")
        stale = _stale(table, repair, rows)
        if stale is not None:
            return self._settle(record, table, rows, stale)
        if isinstance(admission := self._admission(table), Held):
            return self._held(table, repair, admission)
        if self._policy.dry_run:
            self.applied += 1  # so that the budgets hold back what they would
            return Taken(repair, Step.PREVIEW, "a dry run", self._statements.of(table, repair))
        return self._write(record, table)

    def _held(self, table: Table, repair: Outline, held: Held) -> Taken:
        shown = self._statements.of(table, repair) if self._policy.dry_run else ""
        return Taken(repair, Step.HELD, held.note, shown, held.brake)

    def _admission(self, table: Table) -> Admission:
        """As if it were no dry run, which shall tell what would be held."""
        spent = Spent(self.applied, self._in_hour + self.applied, self._drifted.get(table.name, 0))
        return admit(table, spent, replace(self._policy, dry_run=False))

    def _fresh(self, repair: Repair) -> _Rows | None:
        """Both rows as of one moment, or None if the follower is behind."""
        comparison = self._casebook.comparison(repair.table)
        leader, follower, keys = self._target.leader, self._target.follower, (repair.key,)
        before = leader.rows(comparison.leader, keys).value.get(repair.key)
        if not self._reached(follower, leader.position()):
            return None
        found = follower.rows(comparison.follower, keys).value.get(repair.key)
        after = leader.rows(comparison.leader, keys).value.get(repair.key)
        return _Rows(after, found, moving=_version(before) != _version(after))

    def _settle(self, record: RepairRecord, table: Table, rows: _Rows, stale: str) -> Taken:
        """A plan that no longer fits: found applied if an interrupted one reached its aim, superseded otherwise."""
        follower = None if rows.follower is None else rows.follower.values
        interrupted = record.state is State.APPLYING
        found = interrupted and equal_rows(table, record.repair.wanted, follower)
        if self._policy.dry_run:
            return Taken(record.repair, Step.FOUND_APPLIED if found else Step.SUPERSEDED, f"dry run: {stale}")
        if found:
            return self._end(record, State.APPLIED, Step.FOUND_APPLIED, FOUND_APPLIED)
        note = f"interrupted while it was applied, and {stale}" if interrupted else stale
        return self._end(record, State.SUPERSEDED, Step.SUPERSEDED, note)

    def _write(self, record: RepairRecord, table: Table) -> Taken:
        begun: RepairRecord | None = record
        if record.state is not State.APPLYING:
            begun = self._casebook.move(record, State.APPLYING, actor=self._actor, now=self._time())
        if begun is None:
            return Taken(record.repair, Step.HELD, _MOVED)
        try:
            applied = self._target.sink.apply(table, record.repair)
            interrupted = applied.outcome is not Outcome.APPLIED and begun is record
            found = interrupted and self._written(table, record.repair)
        except Temporary as error:
            return Taken(record.repair, Step.WAITING, str(error))
        except Forbidden as error:
            self.barred[record.repair.table] = error
            return Taken(record.repair, Step.HELD, str(error))
        if found:
            return self._end(begun, State.APPLIED, Step.FOUND_APPLIED, FOUND_APPLIED)
        if applied.outcome is Outcome.FAILED:
            return self._end(begun, State.FAILED, Step.FAILED, applied.note)
        if applied.outcome is Outcome.STALE:
            return self._end(begun, State.SUPERSEDED, Step.SUPERSEDED, "the follower's row changed as it was written")
        self.applied += 1
        taken = self._end(begun, State.APPLIED, Step.APPLIED, applied.note)
        return replace(taken, statement=self._statements.of(table, record.repair))

    def _written(self, table: Table, repair: Repair) -> bool:
        """Whether an interrupted write, whose end nobody had heard of, has ended since the rows were read."""
        found = self._target.follower.rows(table, (repair.key,)).value.get(repair.key)
        return equal_rows(table, repair.wanted, None if found is None else found.values)

    def _end(self, record: RepairRecord, state: State, step: Step, note: str) -> Taken:
        # The time behind the write: only looks that begin after it may judge the repair.
        if self._casebook.move(record, state, actor=self._actor, now=self._time(), note=note) is None:
            return Taken(record.repair, Step.HELD, _MOVED)
        return Taken(record.repair, step, note)


def _version(row: Row | None) -> str | None:
    """The row's version; where the engine has none, whether there is a row at all."""
    return None if row is None else row.version or "present"


def _stale(table: Table, repair: Repair, rows: _Rows) -> str | None:
    """Why the plan does not fit the rows, or None if it does."""
    leader: Mapping[str, Value] | None = None if rows.leader is None else rows.leader.values
    follower: Mapping[str, Value] | None = None if rows.follower is None else rows.follower.values
    if not equal_rows(table, repair.wanted, leader):
        return "the leader's row changed since it was planned"
    if equal_rows(table, repair.wanted, follower):
        return "both sides are equal now"
    if not equal_rows(table, repair.expected, follower):
        return "the follower's row changed since it was planned"
    return None
