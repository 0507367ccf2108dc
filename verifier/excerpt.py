"""What a finding keeps of a value: all of it, unless it is very long.

Findings are kept for years, read a page at a time and sent as events, so no value in them may be as large as a column
can be. Of a long one its beginning stays, with its length and a digest of the whole: two that differ never look alike,
and whoever has the row again can tell whether it is the one that was found. Repairs read rows afresh.

Of a column that is not to be told no finding holds a value: its mask stands there, which whoever masks the row's value
in the same way can compare.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import TypeAlias

from verifier.drift import Difference
from verifier.table import Value

Hide: TypeAlias = Callable[[str, Value], Value]
"""What may be told of a column's value, by the column's name: the value, or its mask. A mask is its own mask."""

_VALUE_MOST = 16_384
_VALUE_LEAST = 256
_FINDING = 131_072
"""Characters of all values of one finding, or 512 for each of its columns if that is more."""


def excerpts(columns: Mapping[str, Difference], hide: Hide | None = None) -> Mapping[str, Difference]:
    """The columns as a finding keeps them. `hide` None: all may be told."""
    if hide is not None:
        columns = {
            name: Difference(hide(name, both.leader), hide(name, both.follower)) for name, both in columns.items()
        }
    most = characters_kept(len(columns))
    if not any(len(value) > most for both in columns.values() for value in (both.leader, both.follower) if value):
        return columns
    return {
        name: Difference(excerpt(both.leader, most), excerpt(both.follower, most)) for name, both in columns.items()
    }


def characters_kept(columns: int) -> int:
    """Of a value in a finding of so many columns."""
    return max(_VALUE_LEAST, min(_VALUE_MOST, _FINDING // (2 * max(1, columns))))


def kept(name: str, value: Value, most: int, hide: Hide | None = None) -> Value:
    """What a finding keeps of one column's value. What it keeps stays as it is."""
    return excerpt(value if hide is None else hide(name, value), most)


def excerpt(value: Value, most: int) -> Value:
    """The value, or if it has more than `most` characters (at least 128) its beginning and what tells it from others.
    An excerpt is its own excerpt."""
    if value is None or len(value) <= most:
        return value
    digest = hashlib.sha256(value.encode(errors="surrogatepass")).hexdigest()
    told = f"… [{len(value):,} characters, sha256 {digest[:32]}]"
    return value[: most - len(told)] + told
