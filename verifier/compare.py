"""May two tables be compared, on which columns, and what differs in their description?

A finding never stops the comparison of what can be compared; a column of the leader that cannot be compared makes
the table `unverified`, by name, unless the user excluded it.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from verifier.table import Column, Family, Scheme, Table, Verbatim

_MEETINGS: Mapping[frozenset[Family], Family | None] = {
    frozenset({Family.TEXT, Family.ENUM}): None,
    frozenset({Family.TEXT, Family.CHAR}): Family.CHAR,
    frozenset({Family.CHAR, Family.ENUM}): Family.CHAR,
    frozenset({Family.INTEGER, Family.DECIMAL}): None,
}
"""Families that one engine's columns may have on the two sides, and the form in which both are compared, whichever
of them leads (None: their own forms agree)."""

_MEETINGS_ABROAD: Mapping[frozenset[Family], Family | None] = {
    frozenset({Family.BOOLEAN, Family.INTEGER}): Family.BOOLEAN,
    frozenset({Family.BOOLEAN, Family.BIT}): Family.BOOLEAN,
    frozenset({Family.TIMESTAMP, Family.TIMESTAMPTZ}): Family.TIMESTAMPTZ,  # without a zone: taken as UTC
    frozenset({Family.UUID, Family.TEXT}): Family.UUID,
    frozenset({Family.UUID, Family.CHAR}): Family.UUID,
    frozenset({Family.UUID, Family.BYTES}): Family.UUID,
    frozenset({Family.JSON, Family.TEXT}): Family.JSON,
    frozenset({Family.XML, Family.TEXT}): Family.TEXT,
    frozenset({Family.INET, Family.TEXT}): Family.INET,
    frozenset({Family.SET, Family.TEXT}): Family.SET,
    frozenset({Family.INET, Family.CHAR}): Family.INET,
    frozenset({Family.INTEGER, Family.DECIMAL}): Family.DECIMAL,  # so that keys of both are ordered and spelled alike
    frozenset({Family.TIME, Family.INTERVAL}): Family.INTERVAL,  # a TIME beyond 24 hours is a duration
}
"""The same for columns of two engines, which have no type in common for such values."""

_OWN_KIND = frozenset({Family.OTHER, Family.ARRAY, Family.RANGE, Family.COMPOSITE})
"""Families without a canonical form: compared as the engine's own text, between equal engines only."""
_SPELLED_BY_TYPE = frozenset({Family.DECIMAL, Family.FLOAT, Family.ARRAY, Family.OTHER})


class Severity(enum.Enum):
    """How much a finding of schema weighs; none of them is drift."""

    NOTICE = "notice"  # may well be meant: an index that only one side needs, a sequence that nobody uses yet
    WARNING = "warning"  # values may not fit, or what one side refuses the other accepts


@dataclass(frozen=True, slots=True)
class SchemaFinding:
    """A difference of description, or with a `note` what is wrong by itself on one side. `what` is `column`, `type`,
    `nullability`, `key`, or a feature's (`verifier.features`); a side is None where the object is absent, or is not
    spoken of."""

    object: str
    what: str
    leader: str | None
    follower: str | None
    severity: Severity = Severity.WARNING
    note: str | None = None


NO_KEY = "no primary key and no unique not-null key: rows cannot be addressed (add one, or name a key)"


@dataclass(frozen=True, slots=True)
class Comparison:
    """The two tables cut down to the columns that are compared. `problem` says why the verdict cannot be match. Unless
    `addressable` no single row can be compared; where that is only because the leader has no key (`keyless`), the two
    multisets of rows can. `excluded_why` tells by column why it is not compared, `remarks` what else a reader must know
    of how this table was compared."""

    leader: Table
    follower: Table
    findings: tuple[SchemaFinding, ...]
    excluded: tuple[str, ...]
    problem: str | None = None
    excluded_why: Mapping[str, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    @property
    def addressable(self) -> bool:
        """Both sides have the whole key, and it names the same rows there."""
        return bool(self.leader.key) and {c.name for c in self.leader.columns}.issuperset(self.leader.key)

    @property
    def keyless(self) -> bool:
        """There is something to compare, and nothing to address its rows by."""
        return not self.leader.key and bool(self.leader.columns)


def comparison(
    leader: Table,
    follower: Table,
    excluded: frozenset[str] = frozenset(),
    *,
    renamed: Mapping[str, str] | None = None,
    abroad: bool = False,
) -> Comparison:
    """Line up two tables by column name; the follower's columns come in the leader's order, under the leader's key and
    names. `renamed`: the follower's name of a leader's column, where it has another; `abroad`: the two are of
    different engines, whose types for the same values differ."""
    follower = _under_our_names(leader, follower, renamed or {})
    findings = list(_findings(leader, follower, abroad=abroad))
    theirs = {column.name: column for column in follower.columns}
    problem = _key_problem(leader, theirs, abroad) if leader.key else None
    kept: list[tuple[Column, Column]] = []
    for column in leader.columns:
        if column.name in excluded and column.name not in leader.key:
            continue
        other = theirs.get(column.name)
        if other is None:
            problem = problem or f"column {column.name!r} is missing on the follower (exclude it or add it there)"
        elif (met := meeting(column, other, abroad=abroad)) is None:
            problem = problem or (
                f"column {column.name!r} is {other.declared} on the follower and {column.declared} on the leader; "
                "the values cannot be compared (exclude the column or align the types)"
            )
        else:
            kept.append(met)
    if problem is not None and leader.key and _key_problem(leader, theirs, abroad) is not None:
        kept = [pair for pair in kept if pair[0].name not in leader.key]
    left = replace(leader, columns=tuple(ours for ours, _ in kept))
    right = replace(follower, columns=tuple(other for _, other in kept), key=leader.key)
    gone = tuple(c.name for c in leader.columns if c.name in excluded and c.name not in leader.key)
    return Comparison(left, right, tuple(findings), gone, problem or (None if leader.key else NO_KEY))


def comparable(one: Column, other: Column) -> bool:
    """True if equal values of the two columns, of one engine, have equal canonical forms."""
    return meeting(one, other) is not None


def meeting(one: Column, other: Column, *, abroad: bool = False) -> tuple[Column, Column] | None:
    """The two columns in the form in which they are compared; None if their values cannot be."""
    if one.family is other.family:
        if one.family in _OWN_KIND and abroad:
            return None
        return (one, other) if one.family is not Family.OTHER or one.declared == other.declared else None
    families = frozenset({one.family, other.family})
    if abroad and (stood := (one.stands_for & {other.family}) or (other.stands_for & {one.family})):
        (stands,) = stood
        return replace(one, form=stands), replace(other, form=stands)
    table = {**_MEETINGS, **_MEETINGS_ABROAD} if abroad else _MEETINGS
    if families not in table:
        return None
    form = table[families]
    return replace(one, form=form), replace(other, form=form)


def using(
    compared: Comparison, scheme: Scheme, where: str | None = None, *, verbatim: Mapping[str, Verbatim] | None = None
) -> Comparison:
    """The comparison by this scheme, of the rows for which the user's condition is true; `verbatim` says by name which
    columns are hashed by which text."""
    texts = verbatim or {}

    def side(table: Table) -> Table:
        columns = tuple(replace(c, verbatim=texts[c.name]) if c.name in texts else c for c in table.columns)
        return replace(table, columns=columns, scheme=scheme, where=where)

    return replace(compared, leader=side(compared.leader), follower=side(compared.follower))


def _under_our_names(leader: Table, follower: Table, renamed: Mapping[str, str]) -> Table:
    """The follower's table as the leader names it; what the server calls it stays beside it. Where the follower has
    both a column that stands for a leader's and another one of that very name, the latter is its own affair."""
    ours = {theirs: name for name, theirs in renamed.items()}
    aside = {name: f"{name} (the follower's own)" for name, theirs in renamed.items() if theirs != name}
    names = {column.name: ours.get(column.name) or aside.get(column.name) for column in follower.columns}
    columns = tuple(
        replace(column, name=names[column.name] or column.name, source=column.name) if names[column.name] else column
        for column in follower.columns
    )
    key = tuple(ours.get(name, name) for name in follower.key)
    source = follower.name if follower.name != leader.name else follower.source
    return replace(follower, name=leader.name, columns=columns, key=key, source=source)


def _key_problem(leader: Table, theirs: dict[str, Column], abroad: bool) -> str | None:
    for name in leader.key:
        if name not in theirs or meeting(leader.column(name), theirs[name], abroad=abroad) is None:
            return f"key column {name!r} is missing on the follower or has another type there"
        ours, other = leader.column(name), theirs[name]
        if abroad and {ours.family, other.family} == {Family.TEXT, Family.DECIMAL}:
            return f"key column {name!r} is text on one side and a number on the other: the two are ordered differently"
        if not abroad and not _spelled_alike(ours, other):
            return (
                f"key column {name!r} is {other.declared} on the follower and {ours.declared} on the leader, which "
                "spell the same key differently (align the types, or name another key)"
            )
    return None


def _spelled_alike(one: Column, other: Column) -> bool:
    """Do equal keys have one text on both sides? Keys are matched by it, and the change stream names them by it."""
    if one.family is not other.family:
        return {one.family, other.family} == {Family.TEXT, Family.ENUM}
    return one.declared == other.declared or one.family not in _SPELLED_BY_TYPE


def _findings(leader: Table, follower: Table, *, abroad: bool) -> Iterator[SchemaFinding]:
    theirs = {column.name: column for column in follower.columns}
    for column in leader.columns:
        other = theirs.pop(column.name, None)
        if other is None:
            yield SchemaFinding(column.name, "column", column.declared, None)
            continue
        if column.declared != other.declared and not (abroad and meeting(column, other, abroad=True)):
            yield SchemaFinding(column.name, "type", column.declared, other.declared)
        if column.nullable != other.nullable:
            yield SchemaFinding(column.name, "nullability", _null(column), _null(other))
    for other in theirs.values():
        yield SchemaFinding(other.name, "column", None, other.declared)
    if leader.key != follower.key:
        yield SchemaFinding("key", "key", ", ".join(leader.key) or None, ", ".join(follower.key) or None)


def _null(column: Column) -> str:
    return "null" if column.nullable else "not null"
