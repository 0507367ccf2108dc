"""What a database has beside its rows, and whether a follower has it like its leader: the part of a cutover's checklist
that replication does not carry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from verifier.checklist import Check, Result, listed, summed
from verifier.sequences import SequenceState, sequences
from verifier.table import Table, TableName
from verifier.view import Mark


@dataclass(frozen=True, slots=True)
class Fact:
    """Something beside the rows that both sides should have alike. `table` is the server's own name of the table it
    belongs to (None: to the database); objects of one topic and table are matched by `object`, and `text`
    must be equal. `problem`: wrong by itself, whatever the other side has."""

    topic: str
    table: TableName | None
    object: str
    text: str = ""
    problem: str = ""


NAMED_MAX = 10_000
"""Large objects that are told apart by number; of more only a digest of all is known."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What a server's large objects hold: one digest of all, and one of each by its number where they are few enough.
    `problem`: why it could not be read."""

    digest: str = ""
    named: Mapping[int, str] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Everything beside the rows that one server told. `checks` are lines about this server alone; `topics` says which
    kinds of facts were asked for, `tables` which of the tables were there; `physical`: its pages are the leader's."""

    facts: Sequence[Fact] = ()
    sequences: Sequence[SequenceState] = ()
    checks: Sequence[Check] = ()
    topics: frozenset[str] = frozenset()
    tables: frozenset[TableName] = frozenset()
    large_objects: int | None = None
    physical: bool = False
    contents: Contents | None = None
    """Of the large objects; None where there are none, or where nobody asks."""


@dataclass(frozen=True, slots=True)
class Written:
    """Rows that a table holds now, and how many of them are versions that a later transaction than the mark wrote."""

    rows: int
    fresh: int


class Surrounded(Protocol):
    """What a server can be asked beside the questions of `Replica`, where its engine knows them."""

    def surroundings(self, tables: Sequence[TableName]) -> Surroundings:
        """Of these tables (the server's own names), their schemas and the database. Errors as of any read."""
        ...

    def written(self, table: Table, since: Mark) -> Written:
        """How many rows the table holds, and how many of them are not surely older than `since`, a mark of this server
        that was asked before. Temporary if it takes longer than a statement may."""
        ...


@dataclass(frozen=True, slots=True)
class _Topic:
    what: str
    absent: Result
    differs: Result
    extra: Result
    todo: str


_TOPICS: Mapping[str, _Topic] = {
    "indexes": _Topic(
        "every index of the leader is there and valid", Result.FAIL, Result.FAIL, Result.WARNING,
        "create the index on the follower; rebuild it where it is invalid",
    ),
    "constraints": _Topic(
        "every constraint of the leader is there and validated", Result.FAIL, Result.FAIL, Result.WARNING,
        "add it on the follower, and validate it",
    ),
    "triggers": _Topic(
        "every trigger of the leader is there and enabled alike", Result.FAIL, Result.FAIL, Result.FAIL,
        "create it, enable it or disable it, so that both sides agree",
    ),
    "policies": _Topic(
        "row security is alike", Result.FAIL, Result.FAIL, Result.FAIL, "create or drop the policy on the follower"
    ),
    "views": _Topic("every view of the leader is there", Result.FAIL, Result.FAIL, Result.WARNING, "create the view"),
    "routines": _Topic(
        "every function and procedure of the leader is there", Result.FAIL, Result.FAIL, Result.WARNING,
        "create or replace it on the follower",
    ),
    "extensions": _Topic(
        "every extension of the leader is there", Result.FAIL, Result.WARNING, Result.WARNING,
        "create it on the follower, or update it there",
    ),
    "grants": _Topic(
        "owners and number of grants are alike", Result.WARNING, Result.WARNING, Result.WARNING,
        "compare the owners and rights of both sides, and grant what is missing",
    ),
    "database": _Topic(
        "encoding and collation of the databases are alike", Result.WARNING, Result.WARNING, Result.WARNING,
        "make sure that the application does not depend on the order of text",
    ),
}  # fmt: skip


def compared(
    leader: Surroundings | None,
    follower: Surroundings | None,
    on: str,
    names: Mapping[TableName, TableName],
    why: str = "",
    *,
    alike: bool = True,
) -> list[Check]:
    """The lines about what a follower has beside its rows. `names`: the leader's name of a follower's table; a side
    that is None told nothing, for the reason `why`. `alike`: of one engine, whose definitions compare as text."""
    if leader is None or follower is None:
        reason = why or "this engine is not asked for it yet"
        return [
            Check(one, on, what, Result.UNKNOWN, reason, "check it by hand")
            for one, what in (
                ("sequences", "sequences are not behind"),
                *((topic, of.what) for topic, of in _TOPICS.items()),
                ("large-objects", "large objects"),
            )
        ]
    there = {_mapped(table, names) for table in follower.tables}
    ours = [one for one in leader.sequences if one.used_by is None or one.used_by[0] in there]
    counted = [sequences(ours, follower.sequences, on, names), _large_objects(leader, follower, on)]
    if not alike:
        what, detail = "triggers, views, routines and rights are what the application needs", "the engines differ"
        return [*counted, Check("definitions", on, what, Result.WARNING, detail, "compare them by hand")]
    told = [
        _facts(topic, leader, follower, on, names)
        for topic in _TOPICS
        if topic in leader.topics and topic in follower.topics
    ]
    untold = [
        Check(topic, on, of.what, Result.UNKNOWN, "one of the two engines is not asked for it", "check it by hand")
        for topic, of in _TOPICS.items()
        if topic not in leader.topics or topic not in follower.topics
    ]
    return [
        sequences(leader.sequences, follower.sequences, on, names),
        *told,
        *untold,
        _large_objects(leader, follower, on),
    ]


def _facts(
    topic: str, leader: Surroundings, follower: Surroundings, on: str, names: Mapping[TableName, TableName]
) -> Check:
    of = _TOPICS[topic]
    there = {None, *(_mapped(table, names) for table in follower.tables)}
    ours = {(fact.table, fact.object): fact for fact in leader.facts if fact.topic == topic and fact.table in there}
    theirs = {(_mapped(fact.table, names), fact.object): fact for fact in follower.facts if fact.topic == topic}
    found: list[tuple[Result, str]] = []
    for place, fact in ours.items():
        other = theirs.get(place)
        if other is None:
            found.append((of.absent, f"{_said(place)} is missing"))
        elif other.problem:
            worst = Result.WARNING if fact.problem else Result.FAIL
            found.append((worst, f"{_said(place)} {other.problem}{' (on the leader as well)' if fact.problem else ''}"))
        elif other.text != fact.text:
            found.append((of.differs, f"{_said(place)}: leader {fact.text}, follower {other.text}"))
    for place, other in theirs.items():
        if place not in ours:
            worst = Result.FAIL if other.problem else of.extra
            found.append((worst, f"{_said(place)} {other.problem or 'is on the follower only'}"))
    return summed(topic, on, of.what, found, f"{len(ours)} alike" if ours else "there is none", of.todo)


def _large_objects(leader: Surroundings, follower: Surroundings, on: str) -> Check:
    ours, theirs = leader.large_objects, follower.large_objects
    what, todo = "large objects are there", "replication does not carry them: copy them by a dump"
    if ours is None or theirs is None:
        return Check("large-objects", on, what, Result.UNKNOWN, "they were not counted", "count them by hand")
    told = f"{ours} on the leader, {theirs} on the follower"
    one, other = leader.contents, follower.contents
    if ours != theirs:
        return Check("large-objects", on, what, Result.FAIL, f"{told}{_apart(one, other)}", todo)
    if not ours or follower.physical:
        return Check("large-objects", on, what, Result.PASS, told)
    sides = (("leader", one), ("follower", other))
    for side, held in sides:
        if held is None or held.problem:
            why = "is not compared" if held is None else f"could not be read on the {side}: {held.problem}"
            by_hand = "give trueup's user that right and audit again, or compare their contents by hand"
            return Check("large-objects", on, what, Result.UNKNOWN, f"{told}; what is in them {why}", by_hand)
    assert one is not None
    assert other is not None
    if one.digest != other.digest:
        return Check("large-objects", on, what, Result.FAIL, f"{told}; their contents differ{_apart(one, other)}", todo)
    return Check("large-objects", on, what, Result.PASS, f"{ours} alike, in number and contents")


def _apart(one: Contents | None, other: Contents | None) -> str:
    """Which of them differ, where they are told apart."""
    if one is None or other is None or not (one.named or other.named):
        return ""
    numbers = sorted(number for number in one.named.keys() | other.named.keys()
                     if one.named.get(number) != other.named.get(number))  # fmt: skip
    return f": {listed([str(number) for number in numbers], ', ')}" if numbers else ""


def _mapped(table: TableName | None, names: Mapping[TableName, TableName]) -> TableName | None:
    return None if table is None else names.get(table, table)


def _said(place: tuple[TableName | None, str]) -> str:
    table, name = place
    return f"{name} of {table}" if table is not None else name
