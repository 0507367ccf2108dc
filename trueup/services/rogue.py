"""Follow a follower's own change stream: what was written there and did not come from the leader.

Such keys are verified at once, like touched ones, and marked, so that a later audit knows where to look
(`verifier.marks`); those of tables that are not the group's, as far as is known, are only marked. A follower may decode
a commit before its own reads show it, so a look could come too early: nothing is handed over before a read of the
follower has shown the transaction.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

from trueup.services.group import GroupWorld
from verifier.change import Batch, Blindness, Cause, Transaction
from verifier.errors import Temporary
from verifier.journal import StreamState
from verifier.marks import MarkJournal
from verifier.ports import ChangeStream
from verifier.position import Position
from verifier.table import Key, TableName

logger = logging.getLogger("trueup.rogue")

OWN = "trueup"
"""The origin of our own repairs: marked, and verified by whoever repairs."""
_BARRIER_SECONDS = 1.0
_SHOWN_SECONDS = 30.0
UNKNOWN = "not one of the group's tables, as far as was known"


@dataclass(frozen=True, slots=True)
class Rogue:
    """Keys that one transaction of a follower's own wrote. `origin`: where the follower says that it came from."""

    follower: str
    xid: int
    committed_at: float
    origin: str | None
    keys: tuple[tuple[TableName, Key], ...]


@dataclass(slots=True)
class RogueService:
    """One follower. `shown` tells whether a read of it shows these transactions of its own; `found` are told of every
    one that wrote rows of the group's tables, `strangers` are tables that changed and were not told key by key, because
    they are not the group's as far as is known: each is named once."""

    world: GroupWorld
    follower: str
    stream: ChangeStream
    journal: MarkJournal
    shown: Callable[[Sequence[Transaction]], bool]
    strangers: Callable[[], Collection[TableName]] = tuple
    found: tuple[Callable[[Rogue], None], ...] = ()
    lost: Callable[[str, Blindness], None] = lambda follower, blindness: None
    """Told of tables (None: all, behind a gap) of which the keys that were written are not known: they must be scanned.
    Told again after a fault."""
    poll_seconds: float = 0.2
    changes_max: int = 5_000
    _started: bool = False
    _state: StreamState = field(default_factory=StreamState)
    _recorded_at: float = 0.0

    @property
    def name(self) -> str:
        return f"rogue:{self.follower}"

    def tick(self, now: float) -> float:
        """Temporary while the follower is away or does not show yet what it logged; nothing is lost by it."""
        if not self._started:
            self._start()
        try:
            batch = self.stream.poll(changes_max=self.changes_max, seconds_max=self.poll_seconds)
            self._take(batch)
        except BaseException:
            self._started = False  # begin again behind what the journal holds
            raise
        return 0.0

    def close(self) -> None:
        self.stream.close()

    def _start(self) -> None:
        state = self.journal.state(self.follower)
        self.stream.start(state.offsets, state.read_through)
        self._state, self._started = state, True
        logger.info("following", extra={"action": "stream_started", "follower": self.follower})

    def _take(self, batch: Batch) -> None:
        ours = set(self.world.book.names())
        rogues = [rogue for one in batch.transactions if (rogue := _rogue(self.follower, one)).keys]
        blind = [*_blindness(batch), *(Blindness(Cause.KEYLESS, name, UNKNOWN) for name in self.strangers())]
        state = StreamState(batch.offsets or self._state.offsets, batch.read_through or self._state.read_through)
        now = self.world.clock.now()
        if not rogues and not blind:
            fresh = bool(batch.offsets) and not self._state.offsets
            if fresh or (state != self._state and now - self._recorded_at >= _BARRIER_SECONDS):
                self._record(state, [], [], {}, now)
            return
        self._await([one for one in batch.transactions if one.changes or one.blind])
        touched = [place for rogue in rogues for place in rogue.keys]
        written = self.world.leader.position()
        suspects: dict[tuple[TableName, Key], Position] = {
            place: written for rogue in rogues if rogue.origin != OWN for place in rogue.keys if place[0] in ours
        }
        # Before the offsets pass it: whoever is killed in between tells it again, and else it would wait for the scan.
        for one in blind:
            if one.table is None or one.table in ours:
                said = {"action": "stream_blind", "follower": self.follower, "table": str(one.table)}
                logger.warning("a follower's own stream is blind", extra=said | {"cause": one.cause.value})
                self.lost(self.follower, one)
        self._record(state, touched, blind, suspects, now)
        for rogue in rogues:
            mine = tuple(place for place in rogue.keys if place[0] in ours)
            if rogue.origin != OWN and mine:
                self._tell(replace(rogue, keys=mine))

    def _record(
        self,
        state: StreamState,
        touched: Sequence[tuple[TableName, Key]],
        blind: Sequence[Blindness],
        suspects: dict[tuple[TableName, Key], Position],
        now: float,
    ) -> None:
        self.journal.advance(self.follower, state, touched, blind, suspects, at=now)
        self._state, self._recorded_at = state, now
        self.stream.acknowledge(state.offsets)

    def _await(self, transactions: Sequence[Transaction]) -> None:
        """Until one read of the follower has shown them all. Temporary if that takes too long: a commit that waits for
        a synchronous standby of the follower's own is logged, and not shown."""
        until = self.world.clock.now() + _SHOWN_SECONDS
        while transactions:
            if self.shown(transactions):
                return
            if self.world.clock.now() > until:
                raise Temporary(f"{self.follower} does not show a transaction that it logged {_SHOWN_SECONDS:g} s ago")
            self.world.clock.sleep(0.02)

    def _tell(self, rogue: Rogue) -> None:
        told = {"action": "rogue_write", "follower": self.follower, "transaction": rogue.xid, "keys": len(rogue.keys)}
        logger.warning("written on the follower alone", extra=told | {"origin": rogue.origin})
        for hear in self.found:
            hear(rogue)


def _rogue(follower: str, one: Transaction) -> Rogue:
    keys = tuple((table, key) for table, listed in one.keys().items() for key in listed)
    return Rogue(follower, one.xid, one.committed_at, one.origin, keys)


def _blindness(batch: Batch) -> list[Blindness]:
    return [*batch.blind, *(blindness for one in batch.transactions for blindness in one.blind)]
