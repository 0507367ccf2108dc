"""A transaction of a change stream of which the end has not come yet, in limited memory.

Of transactions whose values would not fit the keys are told without them, and of those so large that their keys would
not fit it is told in which stretches these lie (`verifier.spans`).
"""

from __future__ import annotations

from collections.abc import Iterable

from verifier.change import Blindness, Cause, Change
from verifier.spans import TOO_LARGE, Gathered
from verifier.table import TableName
from verifier.weight import key_bytes

VALUES_BYTES = 16 << 20
"""Messages of one transaction whose values are kept: of sixteen rows of a megabyte, and of nearly any other."""
KEYS_BYTES = 32 << 20
"""Text of keys of one transaction that are kept one by one."""


class Half:
    """What has come of it. Whoever adds to `changes` calls `bound` behind that."""

    __slots__ = ("bytes", "changes", "gathered", "key_bytes", "valueless")

    def __init__(self) -> None:
        self.bytes = self.valueless = self.key_bytes = 0
        """Of its rows' messages; how many of its first changes have no values any more; text of the keys of these."""
        self.changes: list[Change] = []
        self.gathered: dict[TableName, Gathered] = {}
        """Where its keys lie, once it is too large to keep its changes."""

    @property
    def value_bytes(self) -> int:
        """Of the messages of its rows, if their values are kept."""
        return self.bytes if self.valueless < len(self.changes) else 0

    def bound(self, size: int, changes_max: int) -> None:
        """A message of `size` bytes was taken in: let go of what does not fit any more."""
        self.bytes += size
        if self.bytes > VALUES_BYTES:
            self.forget_values()
        if self.gathered or len(self.changes) > changes_max or self.key_bytes > KEYS_BYTES:
            self._let_go()

    def forget_values(self) -> None:
        """Keep of the changes what they are and their keys."""
        for place in range(self.valueless, len(self.changes)):
            self.changes[place] = self.changes[place]._replace(after=None)
            self.key_bytes += key_bytes(self.changes[place].key)
        self.valueless = len(self.changes)

    def _let_go(self) -> None:
        """Keep of the changes only where their keys lie."""
        for change in self.changes:
            self.gathered.setdefault(change.table, Gathered()).add((change.key,))
        self.changes.clear()
        self.valueless = self.key_bytes = 0

    def large(self) -> Iterable[Blindness]:
        """What is told of tables whose keys were let go of."""
        return [Blindness(Cause.GAP, table, TOO_LARGE, spans=keys.told()) for table, keys in self.gathered.items()]
