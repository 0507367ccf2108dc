"""Did the file change? SQLite has no log; it tells one connection that others have committed.

`PRAGMA data_version` of one connection differs from its earlier answer if, and only if, another connection committed in
between, whichever process it belongs to (https://www.sqlite.org/pragma.html#pragma_data_version). Answers of different
connections do not compare, so one is held, without a transaction, for nothing else. trueup's own never commit.
"""

from __future__ import annotations

import threading

from connectors.sqlite.session import Session, Sessions
from verifier.position import Tick


class Standing:
    """Counts the changes that were noticed. Two equal counts enclose a time in which nobody committed."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._lock = threading.Lock()
        self._held: Session | None = None
        self._last: tuple[int, ...] | None = None
        self._count = 0

    def count(self, session: Session) -> Tick:
        """The count now. Asked before a statement it says what the statement shows at least. `session` is any borrowed
        one: that the files are still the same was seen when it was lent."""
        schemas = ["main", *(name for name, _ in self._sessions.files.attached)]
        with self._lock:
            if self._held is None:
                self._held = self._sessions.held()
            held = self._held
            held.allow(self._sessions.limits.statement_seconds)
            versions = tuple(
                int(held.all(f"pragma {self._sessions.quote(schema)}.data_version")[0][0]) for schema in schemas
            )
            if versions != self._last:
                self._last = versions
                self._count += 1
            return Tick(self._count)

    def close(self) -> None:
        with self._lock:
            if self._held is not None:
                self._held.close()
                self._held = None
