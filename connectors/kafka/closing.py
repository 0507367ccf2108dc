"""Sockets that kafka-python forgets.

It drops the socket of a connection that was refused, and, when it is closed, of one that was just being made or written
to: open until somebody collects the garbage. It waits for each of its sockets by its selector, so this one knows them.
"""

from __future__ import annotations

import selectors
import socket
from typing import Any
from weakref import WeakSet


class ClosingSelector(selectors.DefaultSelector):
    """For kafka-python's setting `selector`: closes what was refused as soon as that is known, and the rest when it is
    closed."""

    def __init__(self) -> None:
        super().__init__()
        self._known: WeakSet[socket.socket] = WeakSet()
        self._meeting: set[socket.socket] = set()
        """Those of which nobody knows yet whether they will have a peer."""

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """See `selectors.BaseSelector`."""
        if isinstance(fileobj, socket.socket) and fileobj not in self._known:
            self._known.add(fileobj)
            self._meeting.add(fileobj)
        return super().register(fileobj, events, data)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """See `selectors.BaseSelector`."""
        for one in [one for one in self._meeting if one.fileno() < 0 or one not in self.get_map()]:
            self._meeting.remove(one)
            try:
                one.getpeername()
            except OSError:
                one.close()
        return super().select(timeout)

    def close(self) -> None:
        """See `selectors.BaseSelector`."""
        super().close()
        for one in list(self._known):
            one.close()
        self._meeting.clear()
