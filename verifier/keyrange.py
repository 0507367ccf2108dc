"""Half-open ranges of keys, `[lower, upper)`; `None` is an open end.

Python never orders keys (collations and engines differ): ranges are cut only at keys that the leader named,
and whether a key lies in a range is the engine's to say.
"""

from __future__ import annotations

from dataclasses import dataclass

from verifier.table import Key, TableName


@dataclass(frozen=True, slots=True)
class KeyRange:
    """The rows with `lower <= key < upper` in the leader's order of the key columns."""

    lower: Key | None = None
    upper: Key | None = None

    def cut(self, at: Key) -> tuple[KeyRange, KeyRange]:
        """Two ranges that abut at `at` and whose union is this one."""
        return KeyRange(self.lower, at), KeyRange(at, self.upper)

    def __str__(self) -> str:
        lower = "start" if self.lower is None else ",".join(map(str, self.lower))
        upper = "end" if self.upper is None else ",".join(map(str, self.upper))
        return f"[{lower} .. {upper})"


ALL = KeyRange()


@dataclass(frozen=True, slots=True)
class Chunk:
    """Unit of scanning and of checkpoints; the chunks of a scan partition the key space. `index` counts from 0."""

    table: TableName
    range: KeyRange
    index: int
