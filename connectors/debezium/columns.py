"""Changes of one transaction as columns, made into objects when somebody asks for them.

A *stretch* is what one partition brought of the transaction at a time: events of one table, one behind the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast, overload

import msgspec

from verifier.change import Blindness, Change, Changes, Operation
from verifier.gtid import Binlog
from verifier.table import Key, TableName, Value
from verifier.weight import key_bytes, keys_bytes, text_bytes

Tell = Callable[[bytes], Mapping[str, Value]]
OPERATIONS = {"c": Operation.INSERT, "u": Operation.UPDATE, "d": Operation.DELETE}


class RowImage(msgspec.Struct, gc=False, eq=False):
    """The new row of an event, told when it is first asked for: a `Mapping` from column to value. A message that then
    turns out to be odd tells nothing. Its truth and its `characters` are known without asking."""

    message: bytes
    tell: Tell
    told: Mapping[str, Value] | None = None

    @property
    def characters(self) -> int:
        """About how much memory it takes."""
        return len(self.message)

    def _row(self) -> Mapping[str, Value]:
        if self.told is None:
            self.told = self.tell(self.message)
        return self.told

    def __bool__(self) -> bool:
        return True

    def __getitem__(self, column: str) -> Value:
        return self._row()[column]

    def __iter__(self) -> Iterator[str]:
        return iter(self._row())

    def __len__(self) -> int:
        return len(self._row())

    def __contains__(self, column: object) -> bool:
        return column in self._row()

    def __eq__(self, other: object) -> bool:
        return self._row() == (other._row() if isinstance(other, RowImage) else other)

    __hash__ = None  # type: ignore[assignment]  # like any other mapping

    def __repr__(self) -> str:
        return "RowImage(...)"  # its columns are somebody's data

    def get(self, column: str, default: Value = None) -> Value:
        return self._row().get(column, default)

    def keys(self) -> object:
        return self._row().keys()

    def values(self) -> object:
        return self._row().values()

    def items(self) -> object:
        return self._row().items()


Mapping.register(RowImage)


class Columns(msgspec.Struct, gc=False):
    """Row changes of one table, parallel: `operations` are Debezium's letters; `messages` None: nobody will ask for the
    new rows, or too many wait."""

    table: TableName
    keys: Sequence[Key]
    operations: Sequence[str]
    messages: Sequence[bytes] | None
    tell: Tell

    @property
    def size(self) -> int:
        """Bytes of the messages, or where these were let go of, of the keys."""
        return keys_bytes(self.keys) if self.messages is None else sum(map(len, self.messages))

    def forget_values(self) -> None:
        self.messages = None

    def between(self, start: int, end: int) -> Columns:
        messages = None if self.messages is None else self.messages[start:end]
        return Columns(self.table, self.keys[start:end], self.operations[start:end], messages, self.tell)

    def changes(self) -> list[Change]:
        images: list[RowImage | None] = [None] * len(self.keys)
        if self.messages is not None:
            rows = zip(self.operations, self.messages, strict=True)
            images = [None if operation == "d" else RowImage(message, self.tell) for operation, message in rows]
        told = zip(self.keys, self.operations, cast("list[Mapping[str, Value] | None]", images), strict=True)
        return [Change(self.table, key, OPERATIONS[operation], after) for key, operation, after in told]


@dataclass(slots=True)
class One:
    """One change, made already."""

    change: Change

    @property
    def table(self) -> TableName:
        return self.change.table

    @property
    def keys(self) -> Sequence[Key]:
        return (self.change.key,)

    @property
    def size(self) -> int:
        """Bytes of the key and the values."""
        return key_bytes(self.change.key) + text_bytes((self.change.after or {}).values())

    def forget_values(self) -> None:
        self.change = self.change._replace(after=None)

    def changes(self) -> list[Change]:
        return [self.change]


class Stretch(msgspec.Struct, gc=False):
    """Counted events of one table (None: of none) that lie one behind the other in one partition. `orders` tell them
    from the transaction's other events, and rise (`Source.number_of`); `told` their changes, parallel, or None where
    they tell none; `fields` the sorted names of the rows' columns (empty where only deletes came); `place` where one of
    them stands in the binlog."""

    table: TableName | None
    orders: Sequence[int]
    told: Columns | One | None
    fields: tuple[str, ...]
    blind: Blindness | None = None
    place: Binlog | None = None

    @property
    def size(self) -> int:
        """About how many bytes its changes take."""
        return 0 if self.told is None else self.told.size

    def forget_values(self) -> None:
        """Keep of the changes what they are and their keys."""
        if self.told is not None:
            self.told.forget_values()


class Stretches(Changes):
    """All changes of a transaction: in their order, each once."""

    __slots__ = ("_keys", "_made", "_size", "_stretches")

    def __init__(self, stretches: Sequence[Stretch], *, size: int | None) -> None:
        """`size`: how many changes they hold; None: some came twice."""
        self._stretches = stretches
        self._made: tuple[Change, ...] | None = None
        self._keys: Mapping[TableName, Sequence[Key]] | None = None
        self._size = len(self._all()) if size is None else size

    @property
    def keys(self) -> Mapping[TableName, Sequence[Key]]:
        if self._keys is None:
            self._keys = self._each_once()
        return self._keys

    def _told(self) -> Sequence[Stretch]:
        return self._stretches

    def _each_once(self) -> Mapping[TableName, Sequence[Key]]:
        found: dict[TableName, dict[Key, None]] = {}
        for told in [one.told for one in self._told() if one.told is not None]:
            keys = dict.fromkeys(told.keys)
            known = found.setdefault(told.table, keys)
            if known is not keys:
                known.update(keys)
        return {table: tuple(keys) for table, keys in found.items()}

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, index: int) -> Change: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Change]: ...
    def __getitem__(self, index: int | slice) -> Change | Sequence[Change]:
        return self._all()[index]

    def __iter__(self) -> Iterator[Change]:
        return iter(self._all())

    def __eq__(self, other: object) -> bool:
        return self._all() == (other._all() if isinstance(other, Stretches) else other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(self._all())

    def _all(self) -> tuple[Change, ...]:
        if self._made is None:
            found: dict[int, Change] = {}
            for one in self._told():
                if one.told is not None:
                    found.update(zip(one.orders, one.told.changes(), strict=True))
            self._made = tuple(map(found.__getitem__, sorted(found)))
        return self._made
