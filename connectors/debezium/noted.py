"""What an assembler of transactions passes on to whoever must know what a sink of the same topics has applied."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from connectors.debezium.pending import Partition
from connectors.debezium.source import TransactionId
from verifier.position import Position


class Reached(Protocol):
    """`verifier.furthest.Furthest` is one."""

    def came(self, place: Partition, xid: TransactionId, number: int, *, seen: bool) -> None:
        """Rows of a transaction came here, the last of them its `number`th; `seen`: some of it had come here before."""
        ...

    def mistaken(self, xid: TransactionId) -> None:
        """That transaction had been delivered long ago: rows of it that came as if for the first time were copies."""
        ...


class Noted(Protocol):
    """`verifier.offsets.OffsetIndex` is one."""

    @property
    def furthest(self) -> Reached: ...

    def delivered(self, lasts: Mapping[Partition, int], before: Position | None) -> None:
        """A transaction is delivered: the last offset of its rows by partition, and everything delivered before it."""
        ...

    def ended(self) -> None:
        """An END came of a transaction that never ended before."""
        ...

    def again(self) -> None:
        """A row or an END came of something that was delivered before, or a statement that no transaction counts."""
        ...


class Nowhere:
    """Nobody wants to know."""

    def came(self, place: Partition, xid: TransactionId, number: int, *, seen: bool) -> None:
        pass

    def mistaken(self, xid: TransactionId) -> None:
        pass


class Nobody:
    """Nobody wants to know."""

    furthest = Nowhere()

    def delivered(self, lasts: Mapping[Partition, int], before: Position | None) -> None:
        pass

    def ended(self) -> None:
        pass

    def again(self) -> None:
        pass


NOBODY = Nobody()
