"""The life of a repair as one table of moves.

Everything that changes a repair's state asks here first, so that the journal can only hold lives that make sense:
nothing is applied that nobody approved, nothing is verified that was not applied, and what has ended stays ended.

`applying` and `undoing` are the states in which a killed process, or a connection lost at commit, leaves doubt: they
end by what the follower's row turns out to be. `UNDECIDED` names them.
"""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.repair import State
from verifier.errors import Unsound

MOVES: Mapping[State, frozenset[State]] = {
    State.PLANNED: frozenset({State.APPROVED, State.REJECTED, State.SUPERSEDED}),
    State.APPROVED: frozenset({State.APPLYING, State.REJECTED, State.SUPERSEDED}),
    State.APPLYING: frozenset({State.APPLIED, State.SUPERSEDED, State.FAILED}),
    State.APPLIED: frozenset({State.VERIFIED, State.FAILED}),
    State.VERIFIED: frozenset({State.UNDOING}),
    State.UNDOING: frozenset({State.UNDONE, State.VERIFIED}),
    State.UNDONE: frozenset(),
    State.FAILED: frozenset(),
    State.REJECTED: frozenset(),
    State.SUPERSEDED: frozenset(),
}

UNDECIDED = frozenset({State.APPLYING, State.UNDOING})
ENDED = frozenset({State.VERIFIED, State.UNDONE, State.FAILED, State.REJECTED, State.SUPERSEDED})
"""Nothing comes of these by itself; a person may have a verified one undone."""
LIVE: frozenset[State] = frozenset(MOVES) - ENDED


def check(repair_id: str, before: State, after: State) -> None:
    """Unsound if a repair must not go from `before` to `after`."""
    if after not in MOVES[before]:
        allowed = ", ".join(sorted(state.value for state in MOVES[before])) or "nothing: it has ended"
        raise Unsound(
            f"repair {repair_id} cannot go from {before.value} to {after.value}; "
            f"from {before.value} it may become {allowed}"
        )
