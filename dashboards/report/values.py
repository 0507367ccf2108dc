"""How a value looks in the report: what differs is marked, and what cannot be seen is shown.

NULL, an empty text and an absent row are three things and look like three things. Blanks at an edge or in a row, line
ends, invisible and direction-changing characters are spelled out, so that two values that differ never look alike.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from dashboards.report.marks import Range, marks

_LONG = 240
_WHOLE = 20_000
_AROUND = 60
_EXCERPTS = 3
_PLAIN = re.compile(r"[!-~]+(?: [!-~]+)*")
_SIGNS = {"\t": "→", "\n": "↵", "\r": "␍"}


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of characters: `sign` stands for something invisible, `changed` differs from the other side. `points`
    spells the code points of a difference outside ASCII, where letters of two scripts may look alike."""

    text: str
    sign: bool = False
    changed: bool = False
    points: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """One value. `state` is `text`, `empty`, `null`, `absent` or `masked`; `rest` holds the whole of a value that was
    cut short (its beginning, where it is very long), and `length` its characters."""

    state: str
    pieces: tuple[Piece, ...] = ()
    rest: tuple[Piece, ...] = ()
    length: int = 0


def pair(leader: str | None, follower: str | None) -> tuple[Shown, Shown]:
    """Both sides of a column that differs, with the differing characters marked."""
    if leader is None or follower is None:
        return single(leader), single(follower)
    ours, theirs = marks(leader, follower)
    return _shown(leader, ours), _shown(follower, theirs)


def single(value: str | None) -> Shown:
    """A value that has nothing to be compared with."""
    return Shown("null") if value is None else _shown(value, [])


ABSENT = Shown("absent")


def plain(value: str | None) -> str:
    """A value in one line of text, for labels."""
    return "NULL" if value is None else "".join(piece.text for piece in _pieces(str(value), []))


def _shown(value: str, changed: list[Range]) -> Shown:
    if not value:
        return Shown("empty")
    if value.startswith("masked:"):
        return Shown("masked", (Piece(value.removeprefix("masked:")),))
    if len(value) <= _LONG:
        return Shown("text", tuple(_pieces(value, changed)), length=len(value))
    whole = tuple(_pieces(value[:_WHOLE], [(a, min(b, _WHOLE)) for a, b in changed if a < _WHOLE]))
    return Shown("text", tuple(_excerpt(value, changed)), whole, len(value))


def _excerpt(value: str, changed: list[Range]) -> Iterator[Piece]:
    """The parts of a long value in which it first differs; its beginning if nothing of it differs."""
    end = 0
    for begin, last in _windows(value, changed):
        if begin > end:
            yield Piece("…", sign=True)
        end = last
        inside = [(max(0, a - begin), min(end, b) - begin) for a, b in changed if a < end and b > begin]
        yield from _pieces(value[begin:end], inside)
    if end < len(value):
        yield Piece("…", sign=True)


def _windows(value: str, changed: list[Range]) -> list[Range]:
    """What is shown around the first differences; neighbours are one."""
    found: list[Range] = []
    for a, b in changed or [(0, 0)]:
        begin, end = max(0, a - _AROUND), min(len(value), min(b, a + 2 * _AROUND) + _AROUND)
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], end)
        elif len(found) == _EXCERPTS:
            break
        else:
            found.append((begin, end))
    return found


def _pieces(value: str, ranges: list[Range]) -> Iterator[Piece]:
    if _PLAIN.fullmatch(value):
        yield from _plainly(value, ranges)
        return
    changed = bytearray(len(value))
    for begin, end in ranges:
        changed[begin:end] = b"\1" * (end - begin)
    told = [(*_told(value, place, bool(changed[place])), bool(changed[place])) for place in range(len(value))]
    for (sign, differs), run in groupby(told, lambda one: (one[1], one[2])):
        text = "".join(text for text, _, _ in run)
        spelled = differs and not sign and not text.isascii()
        yield Piece(text, sign, differs, " ".join(f"U+{ord(one):04X}" for one in text[:12]) if spelled else "")


def _plainly(value: str, ranges: list[Range]) -> Iterator[Piece]:
    """The pieces of a text of ASCII letters and single blanks between them, which hides nothing: most are."""
    place = 0
    for begin, end in ranges:
        if place < begin:
            yield Piece(value[place:begin])
        if begin < end:
            yield Piece(value[begin:end], changed=True)
        place = end
    if place < len(value):
        yield Piece(value[place:])


def _told(value: str, place: int, differs: bool) -> tuple[str, bool]:
    """One character and whether it is a sign for another."""
    one = value[place]
    if one == " ":
        edge = place in (0, len(value) - 1) or value[place - 1].isspace() or value[place + 1].isspace()
        return ("·", True) if edge else (one, False)
    if one in _SIGNS:
        return _SIGNS[one] + ("\n" if one == "\n" else ""), True
    if unicodedata.category(one) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"):
        return f"⟨U+{ord(one):04X}⟩", True
    if unicodedata.combining(one) and (differs or place == 0):
        return f"⟨U+{ord(one):04X}⟩", True  # an accent of its own looks like the accented letter
    return one, False
