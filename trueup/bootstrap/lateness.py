"""Whether a follower is too late to be written to by hand: the daemon's brake (`lag.max`), for a command that has
watched nobody.

A command cannot tell how old a delay is that it meets; but what the leader has written by now, and the follower has not
applied after `lag.max`, is later than that. Who has applied it at once is asked no further.
"""

from __future__ import annotations

from collections.abc import Callable

from verifier.ports import Clock, Replica

_PAUSE_SECONDS = 0.1
_SILENT_SECONDS = 0.5
"""Nobody has to be told of a wait that ends at once."""
LONGEST_SECONDS = 120.0
"""Of a limit beyond that only a running daemon knows; a repair is not written to who is behind anyway."""


def words(follower: str, seconds: float) -> str:
    """Why the follower's repairs wait."""
    return f"{follower} lags by {seconds:.0f} s, more than lag.max; it may correct itself"


def late_by_hand(
    leader: Replica,
    follower: Replica,
    most: float,
    clock: Clock,
    told: Callable[[], float | None],
    note: Callable[[str], None],
) -> str:
    """Why nothing may be written to the follower now: it lags by more than `most` seconds; empty if it does not.

    `told` is asked for what a running daemon says of its lag (seconds; None: nothing), and only where it is behind;
    then it is waited for, and `note` says so. Temporary if a server does not answer.
    """
    written = leader.position()
    if follower.position().covers(written):
        return ""
    began = clock.now()
    known = told()
    if known is not None and known > most:
        return words(follower.name, known)
    noted = False
    while (waited := clock.now() - began) <= min(most, LONGEST_SECONDS):
        clock.sleep(_PAUSE_SECONDS)
        if follower.position().covers(written):
            return ""
        if not noted and clock.now() - began > _SILENT_SECONDS:
            note(f"{follower.name} is behind; waiting for it, at most {min(most, LONGEST_SECONDS):.0f} s (lag.max)")
            noted = True
    return words(follower.name, waited) if waited > most else ""
