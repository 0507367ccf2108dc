"""Sequences before a cutover: a follower whose next value was handed out already collides with the first insert.
Logical replication does not carry sequences, so there they stand where they stood when the follower was made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from verifier.checklist import SHOWN, Check, Result, summed
from verifier.table import TableName


@dataclass(frozen=True, slots=True)
class SequenceState:
    """A sequence: its next value, its step, and the furthest value that its column holds in that direction (None: no
    column uses it, or no row is there). `setting`: the engine's statement that makes `{last}` the last value given,
    and `{next}` the next one. `problem`: why it could not be read."""

    name: TableName
    used_by: tuple[TableName, str] | None
    next: int = 0
    step: int = 1
    reach: int | None = None
    setting: str = ""
    problem: str = ""


def sequence_problem(following: int, step: int, least: int, most: int, held: int | None) -> str | None:
    """What is wrong with a sequence that gives `following` next while the column holds `held` at most (at least, where
    it counts down); None if nothing is."""
    if not least <= following <= most:
        return f"it is used up: the next value would be {following}"
    if held is not None and (following - held) * (1 if step > 0 else -1) <= 0:
        return f"its next value {following} is not beyond {held}, which the column holds already"
    return None


def sequences(
    leader: Sequence[SequenceState], follower: Sequence[SequenceState], on: str, names: Mapping[TableName, TableName]
) -> Check:
    """Every sequence's next value lies beyond all values of its column, and is not behind the leader's next one."""
    what = "the next value of every sequence lies beyond its column's values and the leader's last one"
    theirs = {_place(one, names): one for one in follower}
    ours = {_place(one, {}): one for one in leader}
    found = [
        *(problem for place, one in ours.items() for problem in _behind(one, theirs.get(place))),
        *(problem for place, one in theirs.items() if place not in ours for problem in _behind(None, one)),
    ]
    cures = [cure for _, _, cure in found if cure]
    todo = "; ".join(cures[:SHOWN]) if cures else "read them with a login that may select from sequences"
    return summed("sequences", on, what, [one[:2] for one in found], f"{len(ours)} checked", todo)


def _behind(leader: SequenceState | None, follower: SequenceState | None) -> Iterator[tuple[Result, str, str]]:
    """What is wrong with one sequence: result, words, and the statement that puts it right."""
    if follower is None:
        assert leader is not None
        yield Result.FAIL, f"{leader.name} is missing", f"create {leader.name} on the follower"
        return
    unread = follower.problem or (leader.problem if leader else "")
    if unread:
        yield Result.UNKNOWN, f"{follower.name}: {unread}", ""
        return
    up = follower.step > 0
    reaches = [one.reach for one in (leader, follower) if one is not None and one.reach is not None]
    bounds = [*reaches, *([leader.next - leader.step] if leader else [])]
    if leader is not None and (leader.step > 0) is not up:
        yield Result.FAIL, f"{follower.name} counts the other way than on the leader", f"make {follower.name} anew"
        return
    furthest = max(bounds, default=0) if up else min(bounds, default=0)
    cure = follower.setting.replace("{last}", str(furthest)).replace("{next}", str(furthest + follower.step))
    if reaches and (follower.next <= max(reaches) if up else follower.next >= min(reaches)):
        where = ".".join(map(str, follower.used_by)) if follower.used_by else "its column"
        reach = max(reaches) if up else min(reaches)
        yield Result.FAIL, f"{follower.name} gives {follower.next} next, and {where} holds {reach} already", cure
    elif leader is not None and (follower.next < leader.next if up else follower.next > leader.next):
        yield Result.FAIL, f"{follower.name} gives {follower.next} next, the leader {leader.next}", cure


def _place(one: SequenceState, names: Mapping[TableName, TableName]) -> tuple[TableName, str]:
    """By what the sequences of two servers are matched: the column that uses it, else its own name, in the schema or
    database that the leader's tables are in."""
    if one.used_by is None:
        ours = {mine.schema for theirs, mine in names.items() if theirs.schema == one.name.schema}
        return (one.name._replace(schema=ours.pop()) if len(ours) == 1 else one.name), ""
    table, column = one.used_by
    return names.get(table, table), column
