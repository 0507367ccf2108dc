"""A stream that is made when it is started: what it needs may be away at the start of the daemon, and come back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from verifier.change import Batch
from verifier.errors import Forbidden, Misconfigured
from verifier.ports import ChangeStream
from verifier.position import Position


@dataclass(slots=True)
class Deferred:
    """A `ChangeStream`. `make` may raise Temporary: the next `start` tries again. A stream that its source refused is
    made anew by the next `start`, with the passwords as they are then."""

    make: Callable[[], ChangeStream]
    made: ChangeStream | None = None
    ends: list[Callable[[], None]] = field(default_factory=list)
    """Closes what `make` opened beside the stream."""

    def start(self, offsets: Mapping[str, int], read_through: Position | None) -> Position | None:
        if self.made is None:
            self.made = self.make()
        with self._renewed():
            return self.made.start(offsets, read_through)

    def poll(self, *, changes_max: int, seconds_max: float) -> Batch:
        with self._renewed():
            return self._stream().poll(changes_max=changes_max, seconds_max=seconds_max)

    def acknowledge(self, offsets: Mapping[str, int]) -> None:
        self._stream().acknowledge(offsets)

    def close(self) -> None:
        try:
            if self.made is not None:
                self.made.close()
        finally:
            while self.ends:
                self.ends.pop()()

    @contextmanager
    def _renewed(self) -> Iterator[None]:
        try:
            yield
        except Forbidden:
            self.close()
            self.made = None
            raise

    def _stream(self) -> ChangeStream:
        if self.made is None:
            raise Misconfigured("the stream was not started")
        return self.made
