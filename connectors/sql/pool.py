"""A pool of a driver's own connections, without an engine: that would import every dialect, and ask each server half a
dozen questions."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from sqlalchemy import event, exc
from sqlalchemy.pool import QueuePool

from verifier.errors import Temporary
from verifier.policy import Limits

D = TypeVar("D")
_TRUSTED_SECONDS = 2.5  # more than a heartbeat: who is asked every second needs no other sign of life


class Pool(Generic[D]):
    """Few connections, of which the one used last is lent first. Safe for several threads; what is lent belongs to one.

    `usable`: may a connection be lent again after its use? `ping` asks whether its server is still there, and raises
    one of `lost` if it is not. `reset`: what a borrower left open is rolled back."""

    def __init__(
        self,
        connect: Callable[[], D],
        limits: Limits,
        *,
        usable: Callable[[D], bool] = lambda driver: True,
        ping: Callable[[D], object] = lambda driver: None,
        lost: tuple[type[Exception], ...] = (),
        reset: bool = False,
    ) -> None:
        self._usable, self._ping, self._lost = usable, ping, lost
        self._lost_at = 0.0
        make: Any = connect  # the pool's stubs know no driver of this kind
        self.queue = QueuePool(
            make,
            pool_size=limits.connections,
            max_overflow=0,
            timeout=limits.pool_seconds,
            use_lifo=True,
            reset_on_return="rollback" if reset else None,
        )
        event.listen(self.queue, "checkout", self._on_checkout)
        event.listen(self.queue, "checkin", self._on_checkin)

    @contextmanager
    def lent(self, doing: str) -> Iterator[D]:
        """Temporary, which begins with `doing`, if none becomes free in time."""
        try:
            lent = self.queue.connect()
        except exc.TimeoutError as error:
            raise Temporary(f"{doing}: no connection became free in time, all are busy") from error
        driver: Any = lent.driver_connection
        try:
            yield driver
        finally:
            if not self._usable(driver):
                self._lost_at = time.monotonic()
                lent.invalidate()
            lent.close()

    def close(self) -> None:
        self.queue.dispose()

    def _on_checkout(self, driver: Any, record: Any, _proxy: object) -> None:
        """Ask whether the server is still there, unless it answered on this connection just now and none was lost
        since: asking before every question would double the round trips of short ones."""
        used = record.info.get("used", time.monotonic())
        if time.monotonic() - used < _TRUSTED_SECONDS and used > self._lost_at:
            return
        try:
            self._ping(driver)
        except self._lost as error:
            self._lost_at = time.monotonic()
            raise exc.DisconnectionError("the connection was lost while nobody used it") from error

    def _on_checkin(self, _driver: Any, record: Any) -> None:
        record.info["used"] = time.monotonic()
