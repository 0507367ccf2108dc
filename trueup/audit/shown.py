"""Which of the rows that differ the report lists: memory must not grow with drift. The journal has all of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock

from verifier.drift import Drift
from verifier.journal import RunJournal
from verifier.table import TableName
from verifier.weight import key_bytes, text_bytes

_CHARACTERS = 4_000_000
_CHARACTERS_IN_ALL = 16_000_000
_ROWS_IN_ALL = 20_000


@dataclass(slots=True)
class Shown:
    """At most `rows_max` rows of each table and follower, fewer if keys or values are very long (`_CHARACTERS`), or if
    the tables before took what the whole report has room for. For several threads."""

    rows_max: int = 1_000
    _rows_left: int = _ROWS_IN_ALL
    _characters_left: int = _CHARACTERS_IN_ALL
    _lock: Lock = field(default_factory=Lock)

    def of(self, journal: RunJournal, run: str, table: TableName, follower: str, found: int) -> list[Drift]:
        """The first of the `found` rows."""
        with self._lock:
            most = min(self.rows_max, max(self._rows_left, 0), found)
            self._rows_left -= most
            room = min(_CHARACTERS, self._characters_left)
        if most <= 0:
            return []
        shown: list[Drift] = []
        used = 0
        for drift in journal.drifts(run, table, most, follower=follower):
            used += key_bytes(drift.key) + text_bytes(
                value for both in drift.columns.values() for value in (both.leader, both.follower)
            )
            if used > room and shown:
                break
            shown.append(drift)
        with self._lock:
            self._characters_left = max(0, self._characters_left - used)
        return shown
