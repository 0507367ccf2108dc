"""Reads on several servers at the same time: a `Gather` on threads.

The slowest read decides, so the calling thread takes the first call itself and the pool the others. Every call ends
before the first error is raised: no read goes on behind the caller's back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class Pool:
    """At most `workers` reads beside the caller's own."""

    workers: int = 8
    _threads: ThreadPoolExecutor = field(init=False)

    def __post_init__(self) -> None:
        self._threads = ThreadPoolExecutor(self.workers, thread_name_prefix="trueup-read")

    def gather(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        """Results in order of the calls; raises the first error once all have ended."""
        if not calls:
            return []
        others: list[Future[T]] = [self._threads.submit(call) for call in calls[1:]]
        error: BaseException | None = None
        results: list[T] = []
        try:
            results.append(calls[0]())
        except BaseException as problem:
            error = problem
        for future in others:
            try:
                results.append(future.result())
            except BaseException as problem:
                error = error or problem
        if error is not None:
            raise error
        return results

    def close(self) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)
