"""The flow that takes a verified repair back: the follower's row becomes again what it was before.

A person's wish, never trueup's own: what is undone is drift once more. The repair is turned round (`repair.inverse`)
and written as any other, compare-and-set: only while the row is still what the repair wrote, and no later repair wrote
it too. What was undone is not planned again for the same rows (`reconciler.repairing`). A deleted row is put back only
while the leader has none of its key: its own, on the way, would meet ours and stop the follower's apply.

Killed between the intention and its end, the repair is found `undoing` and undone again the same way: if the row is
what it was before, it is recorded ("found undone"), else written, or, if that may not be by now (somebody else wrote
it, the leader has it, its table was altered), left as `verified`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from reconciler.applying import Step, Taken, Target
from reconciler.casebook import Casebook
from reconciler.ports import Outcome, RepairRecord
from reconciler.repair import Action, Repair, State, inverse
from reconciler.rows import equal_rows, plain, writable
from verifier.errors import Temporary
from verifier.table import Table, Value

FOUND_UNDONE = "found undone: the follower's row was already what it was before"
MOVED = "the follower's row is no longer what the repair wrote"


def undo(
    casebook: Casebook,
    target: Target,
    record: RepairRecord,
    *,
    actor: str,
    note: str,
    dry_run: bool,
    time: Callable[[], float],
    written: Callable[[], None] = lambda: None,
) -> Taken:
    """Undo one repair of `target.follower`, or say why not; with `dry_run` only say what would be done. `written` is
    told that the row is what it was, before that is noted: whoever is killed in between is told once more.

    Temporary, Permanent, Unsound as `RepairSink.apply`, `Replica.rows` and `written`; the repair then stays `undoing`,
    and is resolved by asking again.
    """
    repair, table = record.repair, casebook.comparison(record.repair.table).follower
    refused = _refused(casebook, table, record)
    if refused is not None:
        return _left(casebook, record, refused, actor, dry_run, time)
    back = inverse(repair)
    if not equal_rows(table, back.expected, values := _values(target, table, repair)):
        before = equal_rows(table, back.wanted, values)
        if not before or record.state is not State.UNDOING or dry_run:
            return _left(casebook, record, FOUND_UNDONE if before else MOVED, actor, dry_run, time)
        return _found(casebook, record, actor, time, written)
    if values is not None:  # the guard is exact, and the repair wrote no column that was near enough
        back = replace(back, expected=writable(table, values))
    if back.action is Action.INSERT and _led(casebook, target, repair):
        return _left(casebook, record, "the leader has a row of that key by now", actor, dry_run, time)
    if dry_run:
        return Taken(repair, Step.PREVIEW, "a dry run", casebook.statement(target.sink, table, back))
    begun: RepairRecord | None = record
    if record.state is not State.UNDOING:
        begun = casebook.move(record, State.UNDOING, actor=actor, now=time(), note=note)
    if begun is None:
        return Taken(repair, Step.HELD, "somebody else moved it first")
    try:
        applied = target.sink.apply(table, back)
    except Temporary as error:
        return Taken(repair, Step.WAITING, str(error))
    if applied.outcome is not Outcome.APPLIED:
        if equal_rows(table, back.wanted, _values(target, table, repair)):
            return _found(casebook, begun, actor, time, written)  # a write nobody had heard the end of has ended
        why = applied.note if applied.outcome is Outcome.FAILED else MOVED
        return replace(_left(casebook, begun, why, actor, dry_run, time), step=Step.FAILED)
    written()
    casebook.move(begun, State.UNDONE, actor=actor, now=time(), note=note)
    return Taken(repair, Step.APPLIED, applied.note, casebook.statement(target.sink, table, back))


def _values(target: Target, table: Table, repair: Repair) -> Mapping[str, Value] | None:
    """The follower's row now."""
    found = target.follower.rows(table, (repair.key,)).value.get(repair.key)
    return None if found is None else found.values


def _found(
    casebook: Casebook, record: RepairRecord, actor: str, time: Callable[[], float], written: Callable[[], None]
) -> Taken:
    written()
    casebook.move(record, State.UNDONE, actor=actor, now=time(), note=FOUND_UNDONE)
    return Taken(record.repair, Step.FOUND_APPLIED, FOUND_UNDONE)


def _left(
    casebook: Casebook, record: RepairRecord, why: str, actor: str, dry_run: bool, time: Callable[[], float]
) -> Taken:
    """Not undone. An intention ends with that: while it stands nobody plans for the row."""
    if record.state is not State.UNDOING or dry_run:
        return Taken(record.repair, Step.HELD, why)
    note = f"not undone: {why}"
    casebook.move(record, State.VERIFIED, actor=actor, now=time(), note=note)
    return Taken(record.repair, Step.HELD, note)


def _led(casebook: Casebook, target: Target, repair: Repair) -> bool:
    table = casebook.comparison(repair.table).leader
    return bool(target.leader.rows(table, (repair.key,)).value)


def _refused(casebook: Casebook, table: Table, record: RepairRecord) -> str | None:
    """Why it is not even looked at."""
    repair = record.repair
    if record.state not in (State.VERIFIED, State.UNDOING):
        return f"only a verified repair can be undone; it is {record.state.value}"
    held = {name for row in (repair.wanted, repair.expected) if row is not None for name in row}
    if held != {column.name for column in plain(table).columns}:
        return f"{table.name} has other columns by now than when it was repaired"
    written = (State.APPLYING, State.APPLIED, State.VERIFIED, State.UNDOING)
    *_, last = casebook.journal.of_drifts([repair.drift_id], *written)
    if last.repair.id != repair.id:
        return f"repair {last.repair.id} has written the row since; undo that one first"
    return None
