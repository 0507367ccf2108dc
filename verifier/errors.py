"""Errors, classed by what happens next.

    TrueupError
    ├── Temporary            try again later: connection lost, lock timeout, follower away
    │   ├── Unreachable      nobody answers at all (command line: exit code 5)
    │   └── Oversized        an answer is larger than may be held at once: ask for less
    ├── Permanent            a human must change something: no key, incomparable type
    │   ├── Forbidden        a right is missing (command line: exit code 5)
    │   └── Misconfigured    the configuration is wrong (command line: exit code 3)
    └── Unsound              a law of trueup itself was broken: stop this table, keep the evidence, never repair

A message says what, where, what we have, what we need and what to do; lower case, no full stop, never a secret.
Driver errors are translated at the border (`connectors`), with the cause chained.
"""

from __future__ import annotations


class TrueupError(Exception):
    """Root of everything that trueup raises on purpose."""


class Temporary(TrueupError):
    """May succeed if tried again; `delay_seconds` is the least wait that makes sense."""

    def __init__(self, message: str, *, delay_seconds: float = 1.0) -> None:
        super().__init__(message)
        self.delay_seconds = delay_seconds


class Unreachable(Temporary):
    """The server cannot be reached, or refuses the connection."""


class Oversized(Temporary):
    """An answer is larger than is held at once, and nothing of it was kept: ask for less at a time. `rows` is how many
    rows would have fitted, as far as is known: at least 1, and fewer than there are. Never raised of a single row."""

    def __init__(self, message: str, *, rows: int) -> None:
        super().__init__(message, delay_seconds=0.1)
        self.rows = rows


class Permanent(TrueupError):
    """Trying again is useless until somebody changes something."""


class Forbidden(Permanent):
    """A right or a credential is missing."""


class Misconfigured(Permanent):
    """What was configured cannot be used."""


class Unsound(TrueupError):
    """One of trueup's own laws does not hold: stop, keep the evidence, repair nothing."""
