"""A connection that does not wait forever for a server that has stopped answering.

Time limits of statements are the server's to keep, and keepalives notice a machine that is gone. Neither helps when the
server's process is frozen or a proxy holds the connection: its socket stays open and silent. So every wait on it ends
after `patience` seconds, which is longer than any statement may take, and the connection is thrown away.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from typing import Any, TypeVar

import psycopg
from psycopg.rows import tuple_row

from verifier.weight import Pieces

T = TypeVar("T")
GRACE_SECONDS = 10.0


class PatientConnection(psycopg.Connection[Any]):
    """Ordinary in every other respect."""

    patience: float = 60.0 + GRACE_SECONDS
    by_bitmap: bool = False
    """Ranges are not read along their index now: see `session.Session.all`."""

    def __init__(self, pgconn: Any, row_factory: Any = tuple_row) -> None:
        super().__init__(pgconn, row_factory)
        self.pieces = Pieces()
        """How rows of many are taken here: see `session.Session.stream`."""

    def wait(self, gen: Generator[Any, Any, T], *args: Any, **kwargs: Any) -> T:
        """Drive the driver's generator; OperationalError `no answer` when the patience is over."""
        return super().wait(_limited(gen, self.patience, self.pgconn.finish), *args, **kwargs)


def _limited(steps: Generator[Any, Any, T], patience: float, give_up: Callable[[], None]) -> Generator[Any, Any, T]:
    deadline = time.monotonic() + patience
    try:
        wanted = next(steps)
        while True:
            ready = yield wanted
            if time.monotonic() > deadline:
                give_up()
                raise psycopg.OperationalError(f"no answer for {patience:g} s, the connection was closed")
            wanted = steps.send(ready)
    except StopIteration as end:
        result: T = end.value
        return result
