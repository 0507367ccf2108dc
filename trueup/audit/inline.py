"""Values in a line of a terminal: in quotes, so that their ends and NULL are seen; what cannot be seen as escapes; long
ones cut around what differs, and what differs marked (bold and underlined: not by colour alone)."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

from rich.text import Text

from dashboards.report.marks import Range, marks

WIDTH = 48
_MARKED = "bold underline red"


def shown(value: str | None, width: int = WIDTH) -> str:
    """A value for people: NULL without quotes, text in quotes, long values cut in the middle."""
    if value is None:
        return "NULL"
    if len(value) > width:
        half = (width - 3) // 2
        return f"{_quoted(value[:half])[:-1]}...{_quoted(value[-half:])[1:]}"
    return _quoted(value)


def differing(ours: str | None, theirs: str | None, width: int = WIDTH) -> tuple[Text, Text]:
    """Both sides of a column, at most `width` characters of each."""
    if ours is None or theirs is None:
        return Text(shown(ours, width)), Text(shown(theirs, width))
    left, right = marks(ours, theirs)
    begin = min((one[0] for one in (*left[:1], *right[:1])), default=0)
    return _around(ours, left, begin, width), _around(theirs, right, begin, width)


def _around(value: str, ranges: list[Range], at: int, width: int) -> Text:
    """The part of the value around `at`, which is as far from its beginning on both sides."""
    begin = 0 if len(value) <= width else max(0, min(at - width // 3, len(value) - width))
    end = min(len(value), begin + width)
    text = Text("'" if begin == 0 else "...")
    place = begin
    for first, last in ranges:
        first, last = max(first, begin), min(last, end)
        if first < last:
            text.append(_escaped(value[place:first])).append(_escaped(value[first:last], _alone), style=_MARKED)
            place = last
    text.append(_escaped(value[place:end])).append("'" if end == len(value) else "...")
    return text.append(_points(value, ranges))


def _points(value: str, ranges: list[Range]) -> str:
    """The code points of one or two letters outside ASCII that differ: letters of two scripts may look alike."""
    odd = [one for a, b in ranges if b - a <= 2 for one in value[a:b] if not one.isascii() and not _alone(one)]
    return f" ({', '.join(f'U+{ord(one):04X}' for one in odd)})" if 0 < len(odd) <= 4 else ""


def _alone(one: str) -> bool:
    """An accent of its own looks like the accented letter."""
    return not one.isprintable() or unicodedata.combining(one) != 0


def _quoted(value: str) -> str:
    return f"'{_escaped(value)}'"


def _unprintable(one: str) -> bool:
    return not one.isprintable()


def _escaped(value: str, hidden: Callable[[str], bool] = _unprintable) -> str:
    """Hidden characters as escapes; a backslash stays one, because bytes begin with it."""
    return "".join(one.encode("unicode_escape").decode() if hidden(one) else one for one in value)
