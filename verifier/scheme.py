"""Which digest scheme a pair of tables is compared by: the cheapest that is sound for every one of its columns.

`native` needs the same engine on both sides, which have agreed that they hash alike; `canonical` needs SQL for the
canonical form of every column on both sides; `client` always works and reads every row, and alone keeps to tolerances.
Where only JSON stands in the way of `canonical`, a sample may show that its text does (`verifier.spelling`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from verifier.compare import Comparison
from verifier.ports import Replica
from verifier.table import Column, Family, Scheme, Verbatim

_ONE_SPELLING = frozenset({Family.INTEGER, Family.TEXT, Family.ENUM, Family.UUID, Family.DATE})
"""Families whose own text is the canonical one, or is never rewritten."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A scheme, and in words why it is not a cheaper one ('' for `native`): `common` why it is not native.
    `json_alone`: the columns of JSON that are all that stands in the way of `canonical`, and that both sides could hash
    by their text."""

    scheme: Scheme
    why: str = ""
    common: str = ""
    json_alone: tuple[str, ...] = ()


def chosen(compared: Comparison, leader: Replica, follower: Replica, *, native: bool) -> Choice:
    """`native`: the two replicas have agreed on a native row hash."""
    if tolerant := [column.name for column in compared.leader.columns if column.tolerance is not None]:
        return Choice(Scheme.CLIENT, f"trueup itself keeps to the tolerances of {', '.join(tolerant)}, no SQL does")
    if native:
        return Choice(Scheme.NATIVE)
    why = f"{leader.dialect} and {follower.dialect} have no native hash in common"
    sides = ((leader, compared.leader), (follower, compared.follower))
    lacking = [
        (replica, column) for replica, table in sides for column in table.columns if not replica.canonical(column)
    ]
    if not lacking:
        return Choice(Scheme.CANONICAL, why, why)
    names = tuple(dict.fromkeys(column.name for _, column in lacking))
    as_text = all(
        column.meets_as is Family.JSON
        and column.name not in compared.leader.key
        and replica.canonical(replace(column, verbatim=Verbatim.TIDY))
        for replica, table in sides
        for column in table.columns
        if column.name in names
    )
    told = ", ".join(f"{column.name} ({column.declared} on {replica.name})" for replica, column in lacking)
    return Choice(
        Scheme.CLIENT, f"{why}, and SQL cannot write the canonical form of {told}", why, names if as_text else ()
    )


def spelled_as_told(column: Column) -> bool:
    """Is a leader's key, compared by another scheme than `native`, spelled as the change stream spells it: as the
    column's own text? Elsewhere keys in flight would not be recognised."""
    return column.meets_as is column.family and column.family in _ONE_SPELLING
