"""The snapshot rule (DESIGN 3.3): where nothing moves, plain comparison is proof.

A leader is still from a moment on if no transaction was running then and none has taken an id since. Ids tell this
better than log positions do: a log also grows by checkpoints, by vacuum, even by the hints that our own reads write.

    mark  = leader.mark()
    look  = any look at the leader, with look.view.ended_below(mark)        nothing that had begun is still running
    point = StillPoint(mark, leader.position())                             so everything committed is below this
    ...     looks at both sides, in any order, as many as you like ...
    leader.mark() == mark                                                   nobody has begun since: all of them count

A follower's look counts if it shows everything through `point.position`: `look.low` covers it, and on a follower
that publishes before it shows, every local transaction had ended that had an id when it published that position.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from verifier.drift import Certainty, Evidence, Method
from verifier.look import Look, Publishes
from verifier.position import Position
from verifier.view import Mark, View
from verifier.window import Settled

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StillPoint:
    """From when on nothing began on the leader: its next transaction id, and a position behind the last commit."""

    mark: Mark
    position: Position


def still_point(mark: Mark, view: View, position: Position) -> StillPoint | None:
    """The point, or None if a transaction was running. `mark`, the look with `view`, and `position` must have been
    asked of the leader in this order."""
    return StillPoint(mark, position) if view.ended_below(mark) else None


def unsettled(
    point: StillPoint,
    leader: Look[T],
    follower: Look[T],
    publishes: Publishes,
    *,
    mark_after: Mark,
    settled: Settled | None = None,
) -> str:
    """Why these two looks do not compare plainly; '' if they do.

    `mark_after` is the leader's mark asked after both looks; `settled` was asked of the follower before its look.
    """
    if mark_after != point.mark or not leader.view.ended_below(point.mark):
        return "transactions began on the leader meanwhile"
    if settled is not None and settled.position.covers(point.position) and settled.holds_for(follower):
        return ""
    if not follower.low.covers(point.position):
        return f"the follower has not applied {point.position.text()} yet"
    if publishes is Publishes.BEFORE_SHOWING:
        return "a transaction of the follower may still be ending"
    return ""


def snapshot_evidence(point: StillPoint, follower: Look[T]) -> Evidence:
    return Evidence(
        Certainty.PROVEN,
        Method.SNAPSHOT,
        {"leader": point.position.text(), "follower_low": follower.low.text(), "follower_high": follower.high.text()},
    )
