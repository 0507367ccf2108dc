"""Follow the change stream: into the window, into the journal, and only then acknowledged.

What batches cause (touched keys, blindness) is written in one transaction with the offsets that caused it: at once if
nothing was written lately, else gathered for a moment, because each such transaction waits for the disk. A barrier that
merely moved is written once a second: losing it costs nothing but reading a little again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from reconciler.ports import Event
from trueup.services.group import GroupWorld
from trueup.services.letters import DeadLetters
from verifier.change import Batch, Blindness, Cause, DeadLetter, Transaction
from verifier.dirty import Bulk
from verifier.errors import Forbidden, TrueupError
from verifier.journal import ScanJournal, StreamJournal, StreamState
from verifier.ports import ChangeStream
from verifier.position import Position
from verifier.table import Key, TableName

logger = logging.getLogger("trueup.follow")

_BARRIER_SECONDS = 1.0
_CATALOG = frozenset({Cause.DDL})


class FollowJournal(StreamJournal, Protocol):
    """Takes events into the same transaction too, and the names of other tables that changed: nobody verifies them,
    and an audit that later finds them in the group must not believe them untouched."""

    def advance(
        self,
        state: StreamState,
        touched: Mapping[tuple[TableName, Key], Position],
        blind: Sequence[Blindness],
        *,
        followers: Sequence[str],
        at: float,
        events: Sequence[Event] = (),
        others: Collection[TableName] = (),
        bulks: Sequence[Bulk] = (),
    ) -> None: ...


class StreamWatcher(Protocol):
    """Told of every batch: lag and metrics."""

    def batch(self, batch: Batch, now: float) -> None: ...


@dataclass(slots=True)
class FollowService:
    """One stream of one group. `poll_seconds` is the longest wait inside a tick, `changes_max` a batch's size,
    `gather_seconds` the least time between two writes of touched keys."""

    world: GroupWorld
    stream: ChangeStream
    journal: FollowJournal
    watchers: tuple[StreamWatcher, ...] = ()
    poll_seconds: float = 0.2
    changes_max: int = 5_000
    gather_seconds: float = 0.05
    heard: Callable[[float], None] = lambda _: None
    scans: ScanJournal | None = None
    """Where scans are recorded; None: nothing is scanned."""
    letters: DeadLetters | None = None
    """None: the source has none."""
    strangers: Callable[[], Collection[TableName]] = tuple
    """Tables that changed and were not told key by key, because they are not the group's as far as is known."""
    _started: bool = False
    _began: bool = False
    _offsets: Mapping[str, int] = field(default_factory=dict)
    _recorded: StreamState = field(default_factory=StreamState)
    _recorded_at: float = 0.0
    _touched: dict[tuple[TableName, Key], Position] = field(default_factory=dict)
    """Keys of batches that are in the window and not in the journal yet, in order of their latest commits."""
    _bulks: list[Bulk] = field(default_factory=list)
    """What they touched besides, where one transaction had too many keys to tell."""
    _others: set[TableName] = field(default_factory=set)
    """Tables that changed in them, and are not the group's as far as is known."""

    @property
    def name(self) -> str:
        return "follow"

    @property
    def started(self) -> bool:
        """Whether the stream is being read: before that nobody knows what it will have missed."""
        return self._started

    def tick(self, now: float) -> float:
        """Temporary while the source is away, or dead letters cannot be kept; nothing is lost by it."""
        if self.letters is not None:
            self.letters.room()
        if not self._started:
            self._start()
        wait = self.poll_seconds if not self._touched else min(self.poll_seconds, self._due(now))
        try:
            batch = self.stream.poll(changes_max=self.changes_max, seconds_max=wait)
        except Exception as problem:
            # Whoever is let in again begins anew, and needs no offsets but the journal's. So does a fault of ours.
            self._started = isinstance(problem, TrueupError) and not isinstance(problem, Forbidden)
            raise
        now = self.world.clock.now()
        try:
            self._take(batch, now)
        except Exception:
            # The window is ahead of the journal: start again behind what the journal holds, or keys would be lost.
            self._started = False
            raise
        for watcher in self.watchers:
            watcher.batch(batch, now)
        self.heard(now)
        return 0.0

    def close(self) -> None:
        """Record the last barrier, so that a restart reads nothing again."""
        if self._started:
            self._record(StreamState(self._offsets, self._through()), [], self.world.clock.now())
        self.stream.close()

    def _start(self) -> None:
        sight = self.world.sight
        assert sight is not None
        state = self.journal.state()
        again, self._began = self._began, True
        valid_from = self.stream.start(state.offsets, state.read_through)
        if not state.offsets or state.read_through is None:
            self._begin_anew(again)
            state = self.journal.state()
        sight.begin(valid_from)
        self._offsets, self._recorded = state.offsets, state
        self._forget()
        self.world.refresh(self.journal)
        if sight.published is not None:
            sight.published.refresh()
        if valid_from is not None:
            sight.marked(self.world.leader.mark())
        if sight.published is not None:
            sight.published.admit(self.world.leader)
        self._started = True
        logger.info("following", extra={"action": "stream_started", "from": valid_from.text() if valid_from else "now"})

    def _begin_anew(self, again: bool) -> None:
        """The journal does not say where to go on, so the stream began at the present: what was scanned before, or is
        being scanned, or was read and not recorded, may have changed unnoticed. Called when it has begun, because
        that may take seconds."""
        names = self.world.book.names() if self.scans is not None or again else ()
        lost = [Blindness(Cause.GAP, name, "the stream began after the table was scanned") for name in names]
        now = self.world.clock.now()
        self.journal.advance(self.journal.state(), {}, lost, followers=list(self.world.followers), at=now)

    def _take(self, batch: Batch, now: float) -> None:
        sight = self.world.sight
        assert sight is not None
        touched, blind = self._caused(batch)
        if sight.add(batch):
            sight.marked(self.world.leader.mark())
        if batch.offsets and not sight.window.disordered:
            self._offsets = batch.offsets
        state = StreamState(self._offsets, self._through())
        for again in touched.keys() & self._touched.keys():
            del self._touched[again]
        self._touched.update(touched)
        full = len(self._touched) >= self.changes_max
        if blind or batch.letters or full or self._bulks or (self._touched and not self._due(now)):
            self._record(state, blind, now, batch.letters)
        elif not self._touched and state != self._recorded and self._worth_recording(now):
            self._record(state, [], now)
        for one in blind:
            logger.warning(
                "stream is blind", extra={"action": "stream_blind", "table": str(one.table), "cause": one.cause.value}
            )
            if one.cause in _CATALOG:
                self.world.book.forget(one.table)
        if blind:
            self.world.refresh(self.journal)
        sight.prune()

    def _worth_recording(self, now: float) -> bool:
        """A barrier that merely moved can wait; where the stream began cannot."""
        return not self._recorded.offsets or now - self._recorded_at >= _BARRIER_SECONDS

    def _caused(self, batch: Batch) -> tuple[Touched, list[Blindness]]:
        """Keys of the group's own tables in order of their latest commits, those that changed untold among them, and
        what the stream cannot vouch for."""
        ours = set(self.world.book.names())
        touched: Touched = {}
        blind = list(batch.blind)
        self._others.update(self.strangers())
        self._others.update(touch(touched, batch.transactions, ours))
        for transaction in batch.transactions:
            for one in transaction.blind:
                if one.table in ours and one.spans is not None:
                    self._bulks.append((one.table, one.spans, transaction.commit))
            blind.extend(transaction.blind)
        self._others.update(one.table for one in blind if one.table is not None and one.table not in ours)
        untold = [(one.table, one.keys) for one in batch.blind if one.keys and one.table is not None]
        untold = [(table, keys) for table, keys in untold if table in ours]
        if untold:
            latest = self.world.leader.position()  # what they belong to has committed: its events were sent
            note(touched, [(table, keys, latest) for table, keys in untold])
        return touched, [one for one in blind if not _made_up_for(one) and (one.table is None or one.table in ours)]

    def _due(self, now: float) -> float:
        """Seconds until what was touched may be written."""
        return max(0.0, self._recorded_at + self.gather_seconds - now)

    def _record(
        self, state: StreamState, blind: list[Blindness], now: float, letters: Sequence[DeadLetter] = ()
    ) -> None:
        events = self.letters.events(letters, now) if self.letters is not None else []
        followers, others, bulks = list(self.world.followers), self._others, self._bulks
        self.journal.advance(
            state, self._touched, blind, followers=followers, at=now, events=events, others=others, bulks=bulks
        )
        for table, spans, _ in bulks:
            told = {"action": "bulk_change", "table": str(table), "stretches": len(spans)}
            logger.info("a transaction too large to follow key by key", extra=told)
        if self.letters is not None:
            self.letters.written(letters)
        self._forget()
        self._recorded, self._recorded_at = state, now
        if state.offsets:
            self.stream.acknowledge(state.offsets)

    def _forget(self) -> None:
        """What was gathered is in the journal, or comes again."""
        self._touched.clear()
        self._bulks.clear()
        self._others.clear()

    def _through(self) -> Position | None:
        sight = self.world.sight
        assert sight is not None
        return sight.read_through() or self._recorded.read_through


def _made_up_for(one: Blindness) -> bool:
    """Is it known where the changes lie that were not told? They are looked at, and the table is not lost sight of."""
    return one.table is not None and (one.keys is not None or one.spans is not None)


Touched = dict[tuple[TableName, Key], Position]
"""Keys and their latest commits, in the order of these."""
Told = tuple[TableName, Sequence[Key], Position]
"""Keys of one table that a transaction touched, and its commit."""


def touch(touched: Touched, transactions: Sequence[Transaction], ours: Collection[TableName]) -> set[TableName]:
    """Note the keys of `ours` that these touched, told or untold, behind all others, those that were noted before too;
    returns the tables that are others'."""
    told: list[Told] = []
    others: set[TableName] = set()
    for transaction in transactions:
        for table, keys in transaction.keys().items():
            if table in ours:
                told.append((table, keys, transaction.commit))
            else:
                others.add(table)
        for one in transaction.blind:
            if one.keys and one.table is not None and one.table in ours:
                told.append((one.table, one.keys, transaction.commit))
    note(touched, told)
    return others


def note(touched: Touched, told: Sequence[Told]) -> None:
    """Note these keys behind all others. A busy stream has hundreds of thousands of them a second."""
    for table, keys, commit in told:
        sum_of_both = len(touched) + len(keys)
        for key in keys:
            touched[table, key] = commit
        if len(touched) != sum_of_both:  # some were there before, which is cheaper to see afterwards
            for key in keys:
                touched.pop((table, key), None)
            for key in keys:
                touched[table, key] = commit
