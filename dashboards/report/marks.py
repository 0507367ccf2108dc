"""Where two texts differ, as ranges of characters in each.

Short differences are told by character, longer ones by word, and what has little in common is marked as a whole: a
scatter of single letters that happen to agree tells nobody anything. Finding the least edit takes quadratic time, so
whatever is longer is marked from its first to its last difference.
"""

from __future__ import annotations

import re
from difflib import SequenceMatcher

Range = tuple[int, int]

_LETTERS = 64
_WORDS = 400
_ALIKE = 0.35
_PIECES = re.compile(r"\w+|\s+|.", re.DOTALL)


def marks(ours: str, theirs: str) -> tuple[list[Range], list[Range]]:
    """Half-open ranges, in order, as many on each side: empty ones where only the other side has something."""
    head = common(ours, theirs)
    tail = common(ours[head:][::-1], theirs[head:][::-1])
    left, right = ours[head : len(ours) - tail], theirs[head : len(theirs) - tail]
    whole = ([(head, head + len(left))], [(head, head + len(right))])
    if not left or not right:
        return whole
    pieces = (list(left), list(right))
    if max(map(len, pieces)) > _LETTERS:
        pieces = (_PIECES.findall(left), _PIECES.findall(right))
        if max(map(len, pieces)) > _WORDS:
            return whole
    matcher = SequenceMatcher(None, *pieces, autojunk=False)
    if max(map(len, pieces)) > 4 and matcher.ratio() < _ALIKE:
        return whole
    starts = [_starts(side, head) for side in pieces]
    found: tuple[list[Range], list[Range]] = ([], [])
    for tag, a, b, c, d in matcher.get_opcodes():
        if tag != "equal":
            found[0].append((starts[0][a], starts[0][b]))
            found[1].append((starts[1][c], starts[1][d]))
    return found


def common(one: str, other: str) -> int:
    """Length of the common beginning."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _starts(pieces: list[str], at: int) -> list[int]:
    """Where each piece begins, and where the last one ends."""
    found = [at]
    for piece in pieces:
        found.append(found[-1] + len(piece))
    return found
