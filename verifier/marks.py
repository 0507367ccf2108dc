"""What was touched since an audit: the Protocol of its journal.

Each change stream that is followed is a *source*: the leader's (`LEADER`), and a follower's own, which tells what did
not come from the leader. The journal keeps the latest mark of each key that a source saw change, numbered in the order
of the source's stream, and marks whole tables where keys are not known: a gap, a truncate, another definition, or more
keys than it may hold. An audit notes down when it begins how far each source is numbered (its *baseline*) and how its
tables are told; a later one then knows what it need not look at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from verifier.change import Blindness
from verifier.journal import StreamState
from verifier.position import Position
from verifier.table import Key, TableName

LEADER = ""
"""The source that is the leader's change stream; a follower's is called as the follower."""

MARKS_MAX = 100_000
"""Keys of one table and source that are marked one by one. Above it the table is marked as a whole: looking at so many
keys one by one costs as much as scanning a few million rows, and the journal's size is bounded by it."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """Where a source stood when a run began: the number of its last mark, and by table what its changes are told by
    and made of, as text (`told`): while that text is the same, the source has told every change of the table."""

    sequence: int
    told: Mapping[TableName, str] = field(default_factory=dict)


class MarkJournal(Protocol):
    """Marks and baselines. Each method is one transaction."""

    def state(self, source: str) -> StreamState:
        """How far the journal holds the source; empty if it was never read."""
        ...

    def advance(
        self,
        source: str,
        state: StreamState,
        touched: Sequence[tuple[TableName, Key]],
        blind: Sequence[Blindness],
        suspects: Mapping[tuple[TableName, Key], Position],
        *,
        at: float,
    ) -> None:
        """Record a follower's offsets with what they caused: marks, tables marked as a whole, and keys to be verified
        on that follower like touched ones. (The leader's come by `StreamJournal.advance`.)"""
        ...

    def note(self, run_id: str, told: Mapping[str, Mapping[TableName, str]]) -> None:
        """The run begins now: keep a baseline of each of these sources that is being read. One that is there stays."""
        ...

    def baselines(self, run_id: str) -> Mapping[str, Baseline]: ...

    def whole(self, source: str, since: int) -> frozenset[TableName | None]:
        """Tables that are marked as a whole after this number, or have chunks that wait to be read (`verifier.dirty`);
        None among them: all."""
        ...

    def keys(
        self, table: TableName, follower: str, run_id: str, since: Mapping[str, int], *, after: str, limit: int
    ) -> Sequence[str]:
        """Keys to look at on the follower, as `key_text` writes them, in the order of these texts behind `after`: those
        marked by a source after its number, those that wait to be verified, open drift, and what the run found."""
        ...
