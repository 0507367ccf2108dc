"""What an assembler of transactions passes on to whoever must know what a sink of the same topics has applied."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from connectors.debezium.pending import Partition
from verifier.furthest import Furthest
from verifier.position import Position


class Noted(Protocol):
    """`verifier.offsets.OffsetIndex` is one."""

    @property
    def furthest(self) -> Furthest:
        """Told of every row, whether anything of it came before in its partition."""
        ...

    def delivered(self, lasts: Mapping[Partition, int], before: Position | None) -> None:
        """A transaction is delivered: the last offset of its rows by partition, and everything delivered before it."""
        ...

    def ended(self) -> None:
        """An END came of a transaction that never ended before."""
        ...

    def again(self) -> None:
        """A row or an END came of something that was delivered before, or a statement that no transaction counts."""
        ...


class Nobody:
    """Nobody wants to know: `furthest` is not told either."""

    furthest = Furthest()

    def delivered(self, lasts: Mapping[Partition, int], before: Position | None) -> None:
        pass

    def ended(self) -> None:
        pass

    def again(self) -> None:
        pass


NOBODY = Nobody()
