"""What a table has beside its columns: indexes, constraints, defaults, sequences. Compared, a difference is a finding
of its own and never stops the comparison of rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from verifier.compare import SchemaFinding, Severity

UNTOLD = "untold"
"""`what` of a feature that stands for a whole kind, its `text`: the engine does not tell it, so it is not compared."""
_LISTED = ("index", "unique", "check", "foreign key")
_BY_COLUMN = ("default", "sequence")
_WARNING = ("unique", "check", "foreign key")


@dataclass(frozen=True, slots=True)
class Feature:
    """One of them. `what`: `index`, `unique`, `check`, `foreign key`, `default`, `sequence`.

    `object` is its name, or for `default` and `sequence` the column's. `text` is the engine's own definition, compared
    between equal engines; it does not name the table itself. `portable` says of it what any engine can say in the same
    words, None where nothing can be compared: of an index or a unique its columns in order, `a, b`; of a foreign key
    `a, b -> table(c, d)`, the table without its schema; of a default a constant without quotes and type (a boolean as
    1 or 0), `now`, or `sequence`, which is also what fills an identity. `problem` is set where the feature is wrong by
    itself: a sequence whose next value lies at or below its column's maximum, an index whose build failed.
    """

    object: str
    what: str
    text: str
    portable: str | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Lined:
    """How the features of the two sides are held against each other. `alike`: the engines are the same, so that
    definitions compare as text. `table_renamed`, `renamed`: the table has, and these columns (the follower's name to
    the leader's) have, other names on the follower. `columns`: those of the leader that the follower has too."""

    alike: bool
    columns: frozenset[str]
    table_renamed: bool = False
    renamed: Mapping[str, str] = field(default_factory=dict)

    def our_name(self, column: str) -> str:
        return self.renamed.get(column, column)

    def says(self, feature: Feature, *, ours: bool) -> str | None:
        """What is compared of a feature of the leader (`ours`) or the follower; None if nothing can be."""
        names_it = feature.what in _LISTED and bool(self.renamed)
        if self.alike and not names_it and not (self.table_renamed and feature.what == "foreign key"):
            return feature.text
        if feature.portable is None or ours or feature.what not in _LISTED:
            return feature.portable
        columns, arrow, rest = feature.portable.partition(" -> ")
        return ", ".join(map(self.our_name, columns.split(", "))) + arrow + rest


def differences(leader: Sequence[Feature], follower: Sequence[Feature], lined: Lined) -> Iterator[SchemaFinding]:
    """What differs, and what is wrong on either side by itself."""
    untold = {one.text for one in (*leader, *follower) if one.what == UNTOLD}
    for what in (one for one in _LISTED if one not in untold):
        yield from _listed(
            what, [one for one in leader if one.what == what], [one for one in follower if one.what == what], lined
        )
    for what in (one for one in _BY_COLUMN if one not in untold):
        theirs = {lined.our_name(one.object): one for one in follower if one.what == what}
        ours = {one.object: one for one in leader if one.what == what}
        for column in sorted(lined.columns & (ours.keys() | theirs.keys())):
            yield from _paired(column, what, ours.get(column), theirs.get(column), lined)
    yield from _wrong(leader, follower, lined)


def _listed(what: str, leader: Sequence[Feature], follower: Sequence[Feature], lined: Lined) -> Iterator[SchemaFinding]:
    """By what they say, whatever they are called; what is left over by name."""
    ours, theirs = _left_over(leader, follower, lined)
    named = {one.object: one for one in theirs}
    severity = Severity.WARNING if what in _WARNING else Severity.NOTICE
    for one in ours:
        other = named.pop(one.object, None)
        yield SchemaFinding(one.object, what, one.text, other.text if other else None, severity)
    for other in named.values():
        yield SchemaFinding(other.object, what, None, other.text, severity)


def _left_over(
    leader: Sequence[Feature], follower: Sequence[Feature], lined: Lined
) -> tuple[list[Feature], list[Feature]]:
    known = Counter(lined.says(one, ours=True) for one in leader)
    known.subtract(lined.says(one, ours=False) for one in follower)
    ours: list[Feature] = []
    theirs: list[Feature] = []
    for features, left, sign in ((leader, ours, 1), (follower, theirs, -1)):
        for one in features:
            said = lined.says(one, ours=left is ours)
            if said is not None and known[said] * sign > 0:
                known[said] -= sign
                left.append(one)
    return ours, theirs


def _paired(
    column: str, what: str, ours: Feature | None, theirs: Feature | None, lined: Lined
) -> Iterator[SchemaFinding]:
    present = [one for one in (ours, theirs) if one is not None]
    said = [lined.says(one, ours=True) for one in present]
    if None in said or (len(said) == 2 and said[0] == said[1]):
        return
    left, right = (None if one is None else one.text for one in (ours, theirs))
    yield SchemaFinding(column, what, left, right, Severity.NOTICE)


def _wrong(leader: Sequence[Feature], follower: Sequence[Feature], lined: Lined) -> Iterator[SchemaFinding]:
    """On the leader it hurts now; on a follower not before somebody writes there."""
    for one in leader:
        if one.problem is not None:
            yield SchemaFinding(one.object, one.what, one.text, None, Severity.WARNING, f"on the leader: {one.problem}")
    for one in follower:
        if one.problem is not None:
            name = lined.our_name(one.object) if one.what in _BY_COLUMN else one.object
            note = f"on the follower: {one.problem}"
            yield SchemaFinding(name, one.what, None, one.text, Severity.NOTICE, note)
