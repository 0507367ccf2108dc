"""Reads on several servers at the same time: a `Gather` on threads.

The slowest read decides, so the calling thread takes the first call itself and the pool the others. Every call ends
before the first error is raised: no read goes on behind the caller's back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")
Out = TypeVar("Out", covariant=True)


class Running(Protocol[Out]):
    """A call that may run beside its caller."""

    def done(self, seconds: float | None) -> bool:
        """Wait at most so long for its end (None: for as long as it takes); if it is true `result` does not wait."""
        ...

    def result(self) -> Out:
        """What the call returns or raises, once it has ended."""
        ...


@dataclass(frozen=True, slots=True)
class Postponed(Generic[T]):
    """Runs when its result is asked for: for callers without threads."""

    call: Callable[[], T]

    def done(self, seconds: float | None) -> bool:
        return True

    def result(self) -> T:
        return self.call()


@dataclass(frozen=True, slots=True)
class Started(Generic[T]):
    """Runs on a thread."""

    future: Future[T]

    def done(self, seconds: float | None) -> bool:
        wait([self.future], seconds)
        return self.future.done()

    def result(self) -> T:
        return self.future.result()


@dataclass(slots=True)
class Pool:
    """At most `workers` reads beside the caller's own."""

    workers: int = 8
    _threads: ThreadPoolExecutor = field(init=False)

    def __post_init__(self) -> None:
        self._threads = ThreadPoolExecutor(self.workers, thread_name_prefix="trueup-read")

    def gather(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        """Results in order of the calls; raises the first error once all have ended, or Ctrl-C, whatever else went
        wrong."""
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
                if error is None or not isinstance(problem, Exception):
                    error = problem
        if error is not None:
            raise error
        return results

    def beside(self, call: Callable[[], T]) -> Started[T]:
        """Begin the call on a thread of the pool; it may gather, so there must be workers for what it gathers."""
        return Started(self._threads.submit(call))

    def close(self) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)
