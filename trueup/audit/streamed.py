"""The leader's change stream beside an audit: read on a thread of its own into the window that judges keys in flight.

Nothing is journaled: the stream begins at the present when the audit does, and what it cannot tell is left to the rule
that the audit would use without it. A table of which the stream told something that is no row change (another
definition, a truncate, an event that nobody understands) is left to that rule from then on; so is every table once the
stream has ended.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from trueup.audit.progress import Watcher
from trueup.services.group import Sighted
from verifier.bracketing import BracketJudging
from verifier.change import Batch, Blindness, Cause
from verifier.compare import Comparison
from verifier.errors import Permanent, Temporary, Unsound
from verifier.fed import FedBracket, FedFollower
from verifier.outcome import Judging
from verifier.ports import ChangeStream, Clock, Gather, Replica
from verifier.scheme import spelled_as_told
from verifier.seeing import VisibilityJudging
from verifier.standing import Witness
from verifier.table import Key, Scheme, TableName

_CHANGES = 5_000
_POLL_SECONDS = 0.1
_LATEST_SECONDS = 1.0
_RETRY_SECONDS = 0.5
_HOT_AFTER = 3
_TRIES_KEPT = 10_000


@dataclass(slots=True)
class Streamed:
    """`begin` once, before the audit's first look; then `judging` as often as wanted, from any thread; `close` at the
    end. `followers` are those that tell a position in the leader's log."""

    stream: ChangeStream
    sight: Sighted
    leader: Replica
    followers: Mapping[str, Replica]
    clock: Clock
    gather: Gather[Any]
    watcher: Watcher
    heard: Callable[[float], None] = lambda at: None
    give_up_seconds: float = 30.0
    ended: str = ""
    """Why the stream is not read any more; '' as long as it is."""
    _blind: set[TableName | None] = field(default_factory=set)
    _tries: dict[tuple[str, TableName, Key], int] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)
    _reader: threading.Thread | None = None
    _looked_at: float = 0.0

    def begin(self) -> None:
        """Connect and begin at the present. Errors as from `ChangeStream.start`."""
        valid_from = self.stream.start({}, None)
        self.sight.begin(valid_from)
        if valid_from is not None:
            self.sight.marked(self.leader.mark())
        self._latest()
        self._reader = threading.Thread(target=self._read, name="trueup-stream", daemon=True)
        self._reader.start()

    def judging(self, follower: Replica, compared: Comparison, keys: list[Key]) -> Judging | None:
        """An attempt by the visibility rule; None where the stream cannot judge now."""
        table, ours = compared.leader.name, self.followers.get(follower.name)
        fed = isinstance(ours, FedFollower)
        may = self._may_judge(table, compared, fed=fed)
        if isinstance(ours, FedFollower) and not self.ended and not may:
            # It tells its position to nobody but us: plain reads would take lateness for drift.
            return BracketJudging(self.leader, FedBracket(ours, self.clock), compared, keys)
        if ours is None or not may:
            return None
        follower = ours
        hot = self.sight.hot.watch(table, keys, self._failed(follower.name, table, keys))
        return VisibilityJudging(
            self.leader,
            follower,
            compared,
            keys,
            self.sight,
            self.gather,
            give_up_seconds=self.give_up_seconds,
            hot=hot,
            told=self.sight.hot,
        )

    def _may_judge(self, table: TableName, compared: Comparison, *, fed: bool) -> bool:
        """Does the stream tell all of this table, in keys that are spelled as the looks spell them?"""
        published, alike = self.sight.published, compared.leader.scheme is Scheme.NATIVE
        if not alike and not (fed and all(map(spelled_as_told, compared.leader.key_columns()))):
            return False
        if self.ended or table in self._blind or None in self._blind:
            return False
        return published is None or published.lately(table)

    @property
    def fed(self) -> Collection[str]:
        """Those that a sink feeds and no watermark judges: their positions are the stream's to tell."""
        return {name for name, follower in self.followers.items() if isinstance(follower, FedFollower)}

    def witness(self, compared: Comparison) -> Witness | None:
        """Who says of a leader's rows without versions that they stood still; None where the stream cannot tell."""
        table = compared.leader.name
        return Witness(table, self.leader, self.sight) if self._tells(table) else None

    def close(self) -> None:
        self._stop.set()
        if self._reader is not None:
            self._reader.join()
        self.stream.close()
        for follower in self.followers.values():
            if isinstance(follower, FedFollower):
                follower.sink.close()

    def _tells(self, table: TableName) -> bool:
        """Did the stream tell all of the table so far, and nothing of it that is no row change?"""
        published = self.sight.published
        blind = table in self._blind or None in self._blind
        return not (self.ended or blind) and (published is None or published.lately(table))

    def _failed(self, follower: str, table: TableName, keys: Collection[Key]) -> list[Key]:
        """Those that were asked about again and again: always in flight."""
        failed: list[Key] = []
        for key in keys:
            tries = self._tries[follower, table, key] = self._tries.pop((follower, table, key), 0) + 1
            if tries > _HOT_AFTER:
                failed.append(key)
        for place in list(self._tries)[: max(0, len(self._tries) - _TRIES_KEPT)]:
            self._tries.pop(place, None)
        return failed

    def _read(self) -> None:
        told = ""
        while not self._stop.is_set():
            try:
                self._take(self.stream.poll(changes_max=_CHANGES, seconds_max=_POLL_SECONDS))
                if self.clock.now() - self._looked_at >= _LATEST_SECONDS:
                    self._latest()
                told = ""
            except Temporary as problem:
                if str(problem) != told:
                    told = str(problem)
                    self.watcher.note(f"change stream: {told}; trying again")
                self._stop.wait(_RETRY_SECONDS)
            except (Permanent, Unsound) as problem:
                self._end(str(problem))
                return
            except BaseException as problem:
                self._end(f"{type(problem).__name__}: {problem}")
                raise

    def _end(self, why: str) -> None:
        self.ended = why
        self.watcher.note(f"change stream: ended: {why}; going on without it")

    def _take(self, batch: Batch) -> None:
        self._note(batch.blind)
        for transaction in batch.transactions:
            self._note(transaction.blind)
        if self.sight.add(batch):
            self.sight.marked(self.leader.mark())
        if batch.offsets:
            self.stream.acknowledge(batch.offsets)
        self.heard(self.clock.now())

    def _note(self, blind: Collection[Blindness]) -> None:
        """A gap is behind every look that begins after it, and the window refuses those before."""
        self._blind.update(one.table for one in blind if one.cause is not Cause.GAP)

    def _latest(self) -> None:
        """Let the window forget what no look needs any more, and learn which tables the stream tells of."""
        self._looked_at = self.clock.now()
        look = self.leader.ask("select 1", rows_max=1, seconds_max=5.0)
        self.sight.latest(view=look.view)
        if self.sight.published is not None:
            self.sight.published.refresh()
            self.sight.published.admit(self.leader)
        for name, follower in self.followers.items():
            try:
                self.sight.latest(applied=(name, follower.position()))
            except (Temporary, Permanent):
                continue  # the audit itself notices, and the window keeps what it has
        self.sight.prune()
