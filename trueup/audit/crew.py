"""Several pieces of work at a time, each on a thread of its own; the caller's thread alone hears signals, so it waits.

With one worker everything is done by the caller itself, in order.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")

_JOIN_SECONDS = 0.1


def work(items: Sequence[T], do: Callable[[T], bool], workers: int) -> None:
    """`do` each of them, begun in order, at most `workers` at a time, until one returns False: what is under way then
    still ends. The first error is raised when all have ended."""
    if workers <= 1 or len(items) <= 1:
        for item in items:
            if not do(item):
                return
        return
    crew = _Crew(list(items), do)
    threads = [
        threading.Thread(target=crew.run, name=f"trueup-table-{n}", daemon=True)
        for n in range(min(workers, len(items)))
    ]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            while thread.is_alive():
                thread.join(_JOIN_SECONDS)
    except BaseException:
        crew.ended = True
        raise
    if crew.error is not None:
        raise crew.error


class _Crew:
    def __init__(self, items: list[T], do: Callable[[T], bool]) -> None:
        self._items = iter(items)
        self._do: Callable[[T], bool] = do
        self._lock = threading.Lock()
        self.ended = False
        self.error: BaseException | None = None

    def run(self) -> None:
        while True:
            with self._lock:
                item = None if self.ended else next(self._items, None)
            if item is None:
                return
            try:
                if self._do(item):
                    continue
            except BaseException as problem:
                # Of any kind: it is raised in the caller's thread, and nobody else would.
                with self._lock:
                    self.error = self.error or problem
            self.ended = True
            return
