"""Exit codes of the command line (documented in docs/operations.md; a test compares the two)."""

from __future__ import annotations

from verifier.errors import Forbidden, Misconfigured, TrueupError, Unreachable

EQUAL = 0
DRIFT = 1
USAGE = 2
CONFIGURATION = 3
UNVERIFIED = 4
UNREACHABLE = 5
INTERRUPTED = 130
UNREAD = 141
"""As shells call it (128 + SIGPIPE): never 0, which would say that all is equal."""


def of_verdict(verdict: str) -> int:
    """Of a report's overall verdict."""
    return {"match": EQUAL, "drift": DRIFT}.get(verdict, UNVERIFIED)


def of_error(error: TrueupError) -> int:
    """Of an error that ended the command: what the user must look at."""
    if isinstance(error, Misconfigured):
        return CONFIGURATION
    if isinstance(error, Unreachable | Forbidden):
        return UNREACHABLE
    return UNVERIFIED
