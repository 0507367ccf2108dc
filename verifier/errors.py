"""Errors, classed by what happens next.

    TrueupError
    ├── Temporary            try again later: connection lost, lock timeout, follower away
    │   └── Unreachable      nobody answers at all (command line: exit code 5)
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


class Permanent(TrueupError):
    """Trying again is useless until somebody changes something."""


class Forbidden(Permanent):
    """A right or a credential is missing."""


class Misconfigured(Permanent):
    """What was configured cannot be used."""


class Unsound(TrueupError):
    """One of trueup's own laws does not hold: stop, keep the evidence, repair nothing."""
