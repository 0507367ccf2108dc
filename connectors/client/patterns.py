"""Which tables a user's patterns mean."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from verifier.table import TableName


def matcher(patterns: Sequence[str]) -> Callable[[TableName], bool]:
    """Globs of `Replica.tables`: `*` and `?`, `!` excludes, no dot means any schema; only excludes means all others."""
    wanted = [_glob(p) for p in patterns if not p.startswith("!")] or [_glob("*")]
    unwanted = [_glob(p[1:]) for p in patterns if p.startswith("!")]

    def matches(name: TableName) -> bool:
        text = str(name)
        return any(p.fullmatch(text) for p in wanted) and not any(p.fullmatch(text) for p in unwanted)

    return matches


def named(patterns: Sequence[str]) -> Callable[[TableName], bool]:
    """Only what a pattern names without `*` and `?`: so views are asked for."""
    whole = [p for p in patterns if not ("*" in p or "?" in p)]
    if not any(not p.startswith("!") for p in whole):
        return lambda name: False
    return matcher([*(p for p in whole if not p.startswith("!")), *(p for p in patterns if p.startswith("!"))])


def _glob(pattern: str) -> re.Pattern[str]:
    if "." not in pattern:
        pattern = "*." + pattern
    return re.compile("".join({"*": ".*", "?": "."}.get(c, re.escape(c)) for c in pattern), re.DOTALL)
