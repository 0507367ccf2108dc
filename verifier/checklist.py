"""A checklist: lines that were checked, each with its result and what to do, and what they come to together."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

SHOWN = 5


class Result(enum.Enum):
    """What a line came to. A warning is for people to weigh, and stops nothing."""

    PASS = "pass"
    WARNING = "warning"
    FAIL = "fail"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Check:
    """One line: `on` is the server that it is about, `what` was checked, `todo` is what a person should do about it."""

    id: str
    on: str
    what: str
    result: Result
    detail: str = ""
    todo: str = ""


_SEVERITY = (Result.PASS, Result.WARNING, Result.UNKNOWN, Result.FAIL)


def worst(results: Sequence[Result]) -> Result:
    """The one that decides: a failure outweighs what is unknown."""
    return max(results, key=_SEVERITY.index, default=Result.PASS)


def goes(checks: Sequence[Check]) -> bool:
    """True only if there are lines, and each passed or is a warning."""
    return bool(checks) and worst([check.result for check in checks]) in (Result.PASS, Result.WARNING)


def summed(name: str, on: str, what: str, found: Sequence[tuple[Result, str]], fine: str, todo: str) -> Check:
    if not found:
        return Check(name, on, what, Result.PASS, fine)
    result = worst([one for one, _ in found])
    told = sorted(found, key=lambda one: -_SEVERITY.index(one[0]))
    return Check(name, on, what, result, listed([words for _, words in told]), todo)


def several(number: int, what: str) -> str:
    """So many of what is called so where it is one."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def listed(words: Sequence[str], between: str = "; ") -> str:
    more = f" and {len(words) - SHOWN} more" if len(words) > SHOWN else ""
    return between.join(words[:SHOWN]) + more
