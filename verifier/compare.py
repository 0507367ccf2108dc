"""May two tables be compared, on which columns, and what differs in their description?

A finding never stops the comparison of what can be compared; a column of the leader that cannot be compared makes
the table `unverified`, by name, unless the user excluded it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from verifier.table import Column, Family, Table

_INTERCHANGEABLE = (
    frozenset({Family.TEXT, Family.CHAR, Family.ENUM}),
    frozenset({Family.INTEGER, Family.DECIMAL}),
)
_SPELLED_BY_TYPE = frozenset({Family.DECIMAL, Family.FLOAT, Family.ARRAY, Family.OTHER})


@dataclass(frozen=True, slots=True)
class SchemaFinding:
    """A difference of description: `what` is `column`, `type`, `nullability` or `key`; a side is None where the
    object is absent."""

    object: str
    what: str
    leader: str | None
    follower: str | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """The two tables cut down to the columns that are compared. `problem` says why the verdict cannot be match. Unless
    `addressable` no row can be compared at all."""

    leader: Table
    follower: Table
    findings: tuple[SchemaFinding, ...]
    excluded: tuple[str, ...]
    problem: str | None = None

    @property
    def addressable(self) -> bool:
        """Both sides have the whole key, and it names the same rows there."""
        return bool(self.leader.key) and {c.name for c in self.leader.columns}.issuperset(self.leader.key)


def comparison(leader: Table, follower: Table, excluded: frozenset[str] = frozenset()) -> Comparison:
    """Line up two tables by column name; the follower's columns come in the leader's order, under the leader's key."""
    findings = list(_findings(leader, follower))
    theirs = {column.name: column for column in follower.columns}
    problem = _key_problem(leader, theirs)
    kept: list[Column] = []
    for column in leader.columns:
        if column.name in excluded and column.name not in leader.key:
            continue
        other = theirs.get(column.name)
        if other is None:
            problem = problem or f"column {column.name!r} is missing on the follower (exclude it or add it there)"
        elif not comparable(column, other):
            problem = problem or (
                f"column {column.name!r} is {other.declared} on the follower and {column.declared} on the leader; "
                "the values cannot be compared (exclude the column or align the types)"
            )
        else:
            kept.append(column)
    if problem is not None and _key_problem(leader, theirs) is not None:
        kept = [column for column in kept if column.name not in leader.key]
    left = Table(leader.name, tuple(kept), leader.key, leader.estimated_rows)
    right = Table(follower.name, tuple(theirs[c.name] for c in kept), leader.key, follower.estimated_rows)
    gone = tuple(c.name for c in leader.columns if c.name in excluded and c.name not in leader.key)
    return Comparison(left, right, tuple(findings), gone, problem)


def comparable(one: Column, other: Column) -> bool:
    """True if equal values of the two columns have equal canonical forms."""
    if one.family is other.family:
        return one.family is not Family.OTHER or one.declared == other.declared
    return any({one.family, other.family} <= group for group in _INTERCHANGEABLE)


def _key_problem(leader: Table, theirs: dict[str, Column]) -> str | None:
    if not leader.key:
        return "no primary key and no unique not-null key: rows cannot be addressed (add one, or name a key)"
    for name in leader.key:
        if name not in theirs or not comparable(leader.column(name), theirs[name]):
            return f"key column {name!r} is missing on the follower or has another type there"
        ours, other = leader.column(name), theirs[name]
        if not _spelled_alike(ours, other):
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


def _findings(leader: Table, follower: Table) -> Iterator[SchemaFinding]:
    theirs = {column.name: column for column in follower.columns}
    for column in leader.columns:
        other = theirs.pop(column.name, None)
        if other is None:
            yield SchemaFinding(column.name, "column", column.declared, None)
            continue
        if column.declared != other.declared:
            yield SchemaFinding(column.name, "type", column.declared, other.declared)
        if column.nullable != other.nullable:
            yield SchemaFinding(column.name, "nullability", _null(column), _null(other))
    for other in theirs.values():
        yield SchemaFinding(other.name, "column", None, other.declared)
    if leader.key != follower.key:
        yield SchemaFinding("key", "key", ", ".join(leader.key) or None, ", ".join(follower.key) or None)


def _null(column: Column) -> str:
    return "null" if column.nullable else "not null"
