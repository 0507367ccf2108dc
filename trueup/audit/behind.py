"""What one follower still owes: chunks that it could not be read for, and how long it has been failing.

It is tried again at growing intervals, by reading the first chunk that it owes: success says that it is back.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from verifier.keyrange import Chunk
from verifier.reread import Reread
from verifier.scan import ChunkRead

_WAIT_FIRST = 0.25
_WAIT_MOST = 5.0


@dataclass(slots=True)
class Behind:
    """One follower's debts, first in first out. True if there are any."""

    reread: Reread
    tries: int = 0
    _owed: deque[tuple[Chunk, int]] = field(default_factory=deque)
    _since: float | None = None
    _due: float = 0.0

    def __bool__(self) -> bool:
        return bool(self._owed)

    @property
    def failing(self) -> bool:
        return self._since is not None

    def owe(self, chunk: Chunk, rows: int) -> None:
        """The chunk had `rows` rows on the leader."""
        self._owed.append((chunk, rows))

    def chunks(self) -> list[Chunk]:
        return [chunk for chunk, _ in self._owed]

    def due(self, now: float) -> bool:
        return bool(self._owed) and self._due <= now

    def next_due(self) -> float | None:
        return self._due if self._owed else None

    def read(self) -> ChunkRead:
        """The next part of the first chunk owed, which stays owed until all of it is `paid`."""
        chunk, rows = self._owed[0]
        return self.reread.read(chunk, rows)

    def paid(self) -> bool:
        """What was read last is kept; true if that was the end of a chunk."""
        self._since, self._due, self.tries = None, 0.0, 0
        if not self.reread.ended:
            return False
        self._owed.popleft()
        return True

    def failed(self, now: float) -> float:
        """It failed again; returns for how many seconds it has."""
        self._since = now if self._since is None else self._since
        self._due = now + min(_WAIT_MOST, _WAIT_FIRST * 2.0 ** min(self.tries, 10))
        self.tries += 1
        return now - self._since
