"""Which digest scheme a pair of tables is compared by: the cheapest that is sound for every one of its columns.

`native` needs the same engine on both sides, which have agreed that they hash alike; `canonical` needs SQL for the
canonical form of every column on both sides; `client` always works and reads every row.
"""

from __future__ import annotations

from dataclasses import dataclass

from verifier.compare import Comparison
from verifier.ports import Replica
from verifier.table import Scheme


@dataclass(frozen=True, slots=True)
class Choice:
    """A scheme, and in words why it is not a cheaper one ('' for `native`)."""

    scheme: Scheme
    why: str = ""


def chosen(compared: Comparison, leader: Replica, follower: Replica, *, native: bool) -> Choice:
    """`native`: the two replicas have agreed on a native row hash."""
    if native:
        return Choice(Scheme.NATIVE)
    why = f"{leader.dialect} and {follower.dialect} have no native hash in common"
    lacking = [
        f"{column.name} ({column.declared} on {replica.name})"
        for replica, table in ((leader, compared.leader), (follower, compared.follower))
        for column in table.columns
        if not replica.canonical(column)
    ]
    if not lacking:
        return Choice(Scheme.CANONICAL, why)
    return Choice(Scheme.CLIENT, f"{why}, and SQL cannot write the canonical form of {', '.join(lacking)}")
