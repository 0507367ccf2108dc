"""How much is held at once, in bytes: keys may be thousands of bytes long, and values millions.

Rows are counted where a number of rows says how much work or time they are; where it is memory that counts, bytes are.
An answer of rows is read as it comes and given up beyond `ROWS_BYTES`; whoever asked learns how many rows would have
fitted and asks for fewer (`verifier.errors.Oversized`). One row is always held, however large it is: the evidence of a
difference is the row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar

from verifier.errors import Oversized
from verifier.table import Key, Value

S = TypeVar("S")
T = TypeVar("T")

ROWS_BYTES = 8 << 20
"""Text of rows in one answer. A thousand rows of 8 kB fit, so ordinary tables never meet it."""
KEYS_BYTES = 16 << 20
"""Text of keys in one answer of row digests, of an engine whose rows are read as they come: twice what a piece of a
chunk is made for (`verifier.policy.ScanPolicy.keys_bytes`), since keys are as long as those before them, more or less.
"""
_SAMPLED = 256
_NUMBER = 8
_PIECE_BYTES = 1 << 20
_PIECE_MOST = 64
_MEASURED_EACH = 8
_PIECES_KNOWN = 1_000
_PATIENCE = 8
_PATIENCE_MAX = 512


def bounded(
    rows: Iterable[T], size: Callable[[T], int], what: str, most: int | None = None, *, asked: int | None = None
) -> Iterator[T]:
    """The rows, as they come. Oversized (`what` begins its message) when a row beyond the first makes them larger than
    `most` bytes (`ROWS_BYTES`). `asked`: rows that were asked for, where it is known; one alone is not measured."""
    if asked is not None and asked <= 1:
        yield from rows
        return
    held, most = 0, ROWS_BYTES if most is None else most
    for before, row in enumerate(rows):
        held += size(row)
        if held > most and before:
            raise Oversized(f"{what}: {before + 1} rows are larger than {most:,} bytes together", rows=before)
        yield row


def text_bytes(values: Iterable[Value]) -> int:
    """Characters of the values, which are bytes of all but a few."""
    return sum(map(len, filter(None, values)))


def held_bytes(record: Iterable[object]) -> int:
    """Of a row as a driver gives it, at least 1: what has no length counts as a number."""
    return sum(len(one) if isinstance(one, str | bytes) else _NUMBER for one in record) or 1


def key_bytes(key: Key) -> int:
    """Of one key: a number counts as eight."""
    return sum(len(part) if isinstance(part, str) else _NUMBER for part in key)


def keys_bytes(keys: Sequence[Key]) -> int:
    """Of these together, by a sample from all over them."""
    sample = keys[:: len(keys) // _SAMPLED + 1]
    return sum(map(key_bytes, sample)) * len(keys) // len(sample) if sample else 0


def mean_key_bytes(rows: Mapping[Key, object]) -> float:
    """Of a key among these, by a sample; 0 if there are none."""
    sampled = getattr(rows, "key_bytes", None)
    if sampled is not None:
        return float(sampled)
    sample = [key_bytes(key) for key in islice(rows, _SAMPLED)]
    return sum(sample) / len(sample) if sample else 0.0


def sampled_bytes(columns: Sequence[Sequence[object]]) -> float:
    """Of a key whose parts stand in these columns, by a sample from all over them; 0 if there are none."""
    rows = len(columns[0]) if columns else 0
    if not rows:
        return 0.0
    step = max(1, rows // _SAMPLED)
    taken = -(-rows // step)
    parts = (part for column in columns for part in column[::step])
    return sum(len(part) if isinstance(part, str) else _NUMBER for part in parts) / taken


def fitting(sizes: Iterable[int], most: int | None = None) -> int:
    """How many of these, from the first on, are not larger than `most` bytes (`ROWS_BYTES`) together; the first one is,
    however large it is."""
    held, most = 0, ROWS_BYTES if most is None else most
    count = 0
    for size in sizes:
        held += size
        if held > most and count:
            break
        count += 1
    return count


@dataclass(slots=True)
class Batch:
    """How many keys are asked for at a time: `most`, and fewer while their rows are wide. Grows again, to twice as many
    after `_PATIENCE` batches that fitted, and more seldom the more often it was too soon."""

    most: int
    keys: int = 0
    _fits: int = 0
    _patience: int = 0

    def __post_init__(self) -> None:
        self.keys = self.keys or self.most

    @property
    def smaller(self) -> bool:
        """Rows are wide."""
        return self.keys < self.most

    def refused(self, asked: int, fitting: int) -> bool:
        """The rows of so many keys were too large together, and `fitting` of them would have done; false if there is
        nothing less to ask for."""
        if asked <= 1:
            return False
        self._patience = min(max(_PATIENCE, 2 * self._patience), _PATIENCE_MAX)
        self._fits = 0
        self.keys = max(1, min(fitting, asked - 1, self.keys))
        return True

    def fitted(self, asked: int) -> None:
        """The rows of so many keys were held."""
        if not self.smaller or asked < self.keys:
            return
        self._fits += 1
        if self._fits >= self._patience:
            self._fits, self.keys = 0, min(2 * self.keys, self.most)

    def parts(self, keys: Sequence[S], ask: Callable[[Sequence[S]], T]) -> Iterator[T]:
        """What `ask` answers of the keys, or of what has them, part by part. Oversized only of a single one."""
        start = 0
        while start < len(keys):
            part = keys[start : start + self.keys]
            try:
                answer = ask(part)
            except Oversized as problem:
                if not self.refused(len(part), problem.rows):
                    raise
                continue
            self.fitted(len(part))
            yield answer
            start += len(part)


@dataclass(slots=True)
class Pieces:
    """How many rows of a statement a driver hands over at a time, learned from how wide they were when it ran last:
    `_PIECE_BYTES` together, and one by one of a statement that never ran. For one connection."""

    _known: dict[int, int] = field(default_factory=dict)

    def rows(self, statement: int) -> int:
        """Of the statement with this hash."""
        return self._known.get(statement, 1)

    def narrow(self, statement: int) -> bool:
        """It ran, and had no wide rows when it ran last, as far as they were measured."""
        return self.rows(statement) == _PIECE_MOST

    def measured(self, statement: int, records: Iterable[Sequence[object]]) -> Iterator[Any]:
        """The records of the statement, of which some are measured."""
        widest = 1
        for place, record in enumerate(records):
            if not place % _MEASURED_EACH:
                widest = max(widest, held_bytes(record))
            yield record
        if len(self._known) >= _PIECES_KNOWN:
            self._known.clear()
        self._known[statement] = max(1, min(_PIECE_MOST, _PIECE_BYTES // widest))
