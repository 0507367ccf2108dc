"""Tables that the follower calls otherwise: name by name, or by patterns for a whole set (`public.*=archive.*`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from verifier.errors import Misconfigured
from verifier.table import TableName


def mapped(name: TableName, rules: Mapping[str, str]) -> str | None:
    """The follower's name of a leader's table; None if no rule speaks of it. A rule for the very name wins, then the
    first pattern that fits; what a `*` stood for takes the place of the follower's `*` of the same number."""
    exact = rules.get(str(name))
    if exact is not None:
        return exact
    for pattern, target in rules.items():
        if "*" in pattern and (found := _glob(pattern).fullmatch(str(name))):
            parts = target.split("*")
            return parts[0] + "".join(one + part for one, part in zip(found.groups(), parts[1:], strict=True))
    return None


def checked(leader: str, follower: str) -> None:
    """Misconfigured if the two sides of a rule do not fit each other."""
    said = f"table {leader!r} mapped to {follower!r}"
    if leader.count("*") != follower.count("*"):
        raise Misconfigured(f"{said}: both sides need the same number of *")
    if "." not in leader or "." not in follower:
        raise Misconfigured(f"{said}: both sides need schema.table")


@lru_cache(maxsize=100)
def _glob(pattern: str) -> re.Pattern[str]:
    return re.compile("".join("(.*)" if c == "*" else re.escape(c) for c in pattern), re.DOTALL)
