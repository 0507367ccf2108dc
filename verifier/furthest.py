"""How far each partition of a stream that is sent at least once had come, and whether it has come there again.

Within a partition rows come in the order of commits, but where the sender went back and sends a stretch again. So after
a copy all is as it was once the furthest row that ever came there has come again, or one that is further.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

Place = tuple[str, int]
"""A topic and the number of one of its partitions."""


@dataclass(slots=True)
class Furthest:
    """Told by the reader, under `lock`. Of a partition in which nothing new has come yet nothing is known, and it is
    not behind."""

    lock: AbstractContextManager[object] = field(default_factory=nullcontext)
    _rows: dict[Place, tuple[Hashable, int]] = field(default_factory=dict)
    _behind: set[Place] = field(default_factory=set)

    def begin(self) -> None:
        """The reader begins (again), wherever."""
        self._rows, self._behind = {}, set()

    def came(self, place: Place, xid: Hashable, number: int, *, seen: bool) -> None:
        """Rows of a transaction came, the last of them its `number`th; `seen`: some of it had come there before."""
        with self.lock:
            furthest = self._rows.get(place)
            if not seen or (furthest is not None and furthest[0] == xid and furthest[1] <= number):
                self._rows[place] = xid, number
                self._behind.discard(place)
            elif furthest is not None:
                self._behind.add(place)

    def mistaken(self, xid: Hashable) -> None:
        """Rows of this transaction that came as if for the first time did not: how far it was is not known any more."""
        with self.lock:
            self._rows = {place: row for place, row in self._rows.items() if row[0] != xid}

    def behind(self, places: Collection[Place]) -> bool:
        """Whether one of these has still to come as far as it was."""
        return not self._behind.isdisjoint(places)
