"""Verify touched keys and suspects on one follower, once it has applied what touched them.

Keys come from the journal and leave it only with a verdict, so nothing is forgotten by a crash. Where the stream can
vouch for a table the visibility rule judges, else the bracketed rule. A key that is still in flight after all patience
stays in the journal, counts as unsettled, and gets another turn.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from trueup.services.group import GroupWorld
from trueup.services.joint import JointLooks
from trueup.services.rounds import Rounds
from verifier.bracketing import BracketJudging
from verifier.change import Blindness, Cause
from verifier.compare import Comparison
from verifier.drift import Drift
from verifier.errors import Permanent
from verifier.excerpt import excerpts
from verifier.identity import drift_id
from verifier.journal import StreamJournal, Touched
from verifier.outcome import Differs, Judging, Moving
from verifier.policy import SettlePolicy
from verifier.position import Position
from verifier.seeing import Seen, VisibilityJudging
from verifier.settle import Leaving, Room
from verifier.table import Key, TableName

logger = logging.getLogger("trueup.verify")

_IDLE_SECONDS = 0.05
_ASIDE_SECONDS = 10.0
_PAUSED_SECONDS = 0.25
_GATHER_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Verified:
    """What was settled of one table: the keys that were equal, the drift, how many keys were given up, and how long ago
    (seconds) each settled key had been touched. `since`: when the looks that judged each key began."""

    follower: str
    table: TableName
    since: Mapping[Key, float]
    equal: tuple[Key, ...] = ()
    drifts: tuple[Drift, ...] = ()
    unsettled: int = 0
    ages: tuple[float, ...] = ()


@dataclass(slots=True)
class VerifyService:
    """One follower's touched keys. `pending_max` bounds the keys held in memory at a time. A key that `hot_after` looks
    could not judge is hot: it is judged by its after-images from then on. Looks begin in `rounds`; what waits for the
    stream, and asks no server, goes on between them."""

    world: GroupWorld
    follower: str
    journal: StreamJournal
    policy: SettlePolicy
    pending_max: int = 5_000
    hot_after: int = 3
    settled: Callable[[Verified], None] = lambda verified: None
    rounds: Rounds = field(default_factory=Rounds)
    joint: JointLooks | None = None
    """What reads the leader for several followers at once; None: each asks for itself."""
    reasons: Counter[str] = field(default_factory=Counter)
    _rooms: dict[TableName, Room[Touched]] = field(default_factory=dict)
    _held: set[tuple[TableName, Key]] = field(default_factory=set)
    _aside: dict[TableName, float] = field(default_factory=dict)
    _unsettled_at: dict[TableName, float] = field(default_factory=dict)
    """When a key of the table was last given up."""
    _left: list[tuple[TableName, list[Leaving[Touched]]]] = field(default_factory=list)
    """What was judged since `_left_at`, and is not in the journal yet."""
    _left_at: float = 0.0
    _untold: deque[Verified] = field(default_factory=deque)
    """What is in the journal, and `settled` has not been told of."""
    _leader: Seen | None = None
    _blocked: Position | None = None
    """The commit that the follower must apply before the journal has anything new for us."""

    @property
    def name(self) -> str:
        return f"verify:{self.follower}"

    def moving(self, now: float) -> int:
        """Tables of which some key stays in flight. One that was given up has another turn at once, and within the
        patience it is given up again, or settled."""
        since = now - 2.0 * self.policy.give_up_seconds
        return sum(at >= since for at in list(self._unsettled_at.values()))

    def tick(self, now: float) -> float:
        """Temporary while a server is away; the keys stay where they are. Where nothing waits nobody is asked."""
        try:
            return self._turn(now)
        finally:
            self._settle()

    def _turn(self, now: float) -> float:
        began, opening = now, self.rounds.due(now)
        if opening:
            if not self._held and not self.journal.touched(self.follower, limit=1):
                return _IDLE_SECONDS
            self._open_round(now)
        if self.world.paused(None):
            for table, room in self._rooms.items():
                self._let_go(table, room, "paused")
            return _PAUSED_SECONDS
        for table, room in self._rooms.items():
            if self.world.paused(table):
                self._let_go(table, room, "paused")
                continue
            try:
                now = self._advance(table, room, now)
            except Permanent as problem:
                self._put_aside(table, room, str(problem), now)
        if opening:
            self.rounds.ended(began, self.world.clock.now())
        dues = [due - now for due in (room.next_due() for room in self._rooms.values()) if due is not None]
        return max(0.0, min([max(_IDLE_SECONDS, self.rounds.wait(now)), *dues]))

    def _open_round(self, now: float) -> None:
        """Take in what the follower has applied by now, and let everybody look who is due."""
        applied = None if self.world.marked(self.follower) else self.world.followers[self.follower].position()
        if self.world.sight is not None:
            # Who is judged by the watermark needs nothing that the window keeps.
            self.world.sight.latest(applied=(self.follower, applied or self.world.leader.position()))
        if self.world.paused(None):
            return
        self._admit(applied, now)
        for room in self._rooms.values():
            room.until = self.rounds.until(now)
        if self.joint is not None:
            wanted = {table: keys for table, room in self._rooms.items() if (keys := room.upcoming(now))}
            self._leader = self.joint.begin(self.follower, self.rounds.number(now), wanted)

    def _advance(self, table: TableName, room: Room[Touched], now: float) -> float:
        """Let one table's room do what is due; returns the time after it."""
        due = room.next_due()
        while due is not None and due <= now:
            leaving = room.advance(now)
            now = self.world.clock.now()
            if leaving:
                self._left_at = self._left_at if self._left else now
                self._left.append((table, leaving))
                told_now = any(isinstance(one.outcome, Differs) for one in leaving)
                if told_now or now - self._left_at >= _GATHER_SECONDS:
                    self._settle()
                    now = self.world.clock.now()
            following = room.next_due()
            due = following if leaving else None
        return now

    def _put_aside(self, table: TableName, room: Room[Touched], why: str, now: float) -> None:
        """One table's trouble (dropped, altered, a right taken away) must not stop the others: look at its description
        anew, and leave it alone for a while. Its keys stay in the journal."""
        self._let_go(table, room, why)
        self._aside[table] = now + _ASIDE_SECONDS
        self.world.book.forget(table)
        told = {"action": "table_unverified", "follower": self.follower, "table": str(table), "why": why}
        logger.warning("table not verified", extra=told)

    def _let_go(self, table: TableName, room: Room[Touched], why: str) -> None:
        """Nobody looks at the table's keys now, and no look stays open; they are in the journal."""
        self._held.difference_update((table, left.key) for left in room.give_up(why))

    def _admit(self, applied: Position | None, now: float) -> None:
        """Take in what the follower has applied: before that a look could only find it late. None: all there is, since
        each look waits for the watermark."""
        spare = self.pending_max - len(self._held)
        if spare <= 0 or (applied is not None and self._blocked is not None and not applied.covers(self._blocked)):
            return
        self._blocked = None
        aside: list[Touched] = []
        touched = self.journal.touched(self.follower, limit=min(spare, 2_000), skip=frozenset(self._held))
        for one in touched:
            if applied is not None and not applied.covers(one.commit) and self._to_come(one.commit):
                self._blocked = one.commit  # those behind it were committed later
                break
            if self._aside.get(one.table, 0.0) > now or self.world.paused(one.table):
                aside.append(one)
                continue
            room = self._room(one)
            if room is None:
                aside.append(one)
                continue
            self._held.add((one.table, one.key))
            room.admit([one.key], one, now, delay=0.0)
        self._forget(aside, now)

    def _to_come(self, commit: Position) -> bool:
        """Can the follower still apply it? A commit beyond the leader's own log was lost in a failover: its key is
        looked at now, or it would hold up all others until the new leader has written as much as the old one had."""
        return self.world.leader.position().covers(commit)

    def _forget(self, aside: list[Touched], now: float) -> None:
        """Keys of tables that cannot be compared now: they would pile up before all others. No verdict is made of it;
        the table stays blind until it has been scanned."""
        for table in {one.table for one in aside}:
            keys = [one for one in aside if one.table == table]
            because = Blindness(Cause.GAP, table, f"changed while it could not be compared on {self.follower}")
            self.journal.forget(self.follower, keys, because, at=now)
        if aside:
            self.world.refresh(self.journal)

    def _room(self, one: Touched) -> Room[Touched] | None:
        """The table's waiting room; None if the table cannot be compared at all (the scan reports why)."""
        pair = self.world.book.pair(self.follower, one.table)
        if pair.compared is None:
            return None
        room = self._rooms.get(one.table)
        if room is None:
            room = self._rooms[one.table] = Room(lambda keys: self._judge(one.table, keys), self.policy)
        return room

    def _judge(self, table: TableName, keys: list[Key]) -> Judging:
        compared = self.world.book.pair(self.follower, table).compared
        if compared is None:
            raise Permanent(f"{table} cannot be compared on {self.follower} any more")
        room = self._rooms[table]
        failed = [key for key in keys if room.tries(key) >= self.hot_after]
        return judging(self.world, self.follower, compared, keys, failed, self._leader)

    def _settle(self) -> None:
        """Journal what was judged, of all tables at once: a transaction for each would take longer than the looks. It
        counts as found when the first of it was: whoever found something else since knows better."""
        left, self._left, now = self._left, [], self._left_at
        settled = [one.tag for _, leaving in left for one in leaving if not isinstance(one.outcome, Moving)]
        told = [self._verified(table, leaving, now) for table, leaving in left]
        if left:
            drifts = [drift for verified in told for drift in verified.drifts]
            self.journal.settle(self.follower, settled, drifts, at=now)
        self._untold.extend(told)
        while self._untold:
            self.settled(self._untold.popleft())

    def _verified(self, table: TableName, leaving: list[Leaving[Touched]], now: float) -> Verified:
        drifts: list[Drift] = []
        equal: list[Key] = []
        ages: list[float] = []
        unsettled = 0
        for left in leaving:
            self._held.discard((table, left.key))
            if isinstance(left.outcome, Moving):
                unsettled += 1
                self.reasons[left.outcome.why] += 1
                continue
            ages.append(now - left.tag.touched_at)
            if isinstance(left.outcome, Differs):
                drifts.append(self._drift(table, left.key, left.outcome, now))
            else:
                equal.append(left.key)
        if unsettled:
            self._unsettled_at[table] = now
            logger.warning(
                "keys stay in flight",
                extra={"action": "keys_unsettled", "follower": self.follower, "table": str(table), "keys": unsettled},
            )
        since = {left.key: left.since for left in leaving}
        return Verified(self.follower, table, since, tuple(equal), tuple(drifts), unsettled, tuple(ages))

    def _drift(self, table: TableName, key: Key, outcome: Differs, now: float) -> Drift:
        group = self.world.name
        columns = excerpts(outcome.columns, self.world.book.masking.hide(table))
        found = drift_id(group, self.follower, table, key)
        return Drift(found, group, self.follower, table, key, outcome.kind, columns, outcome.evidence, now)


def judging(
    world: GroupWorld,
    follower: str,
    compared: Comparison,
    keys: list[Key],
    failed: Collection[Key] = (),
    leader: Seen | None = None,
) -> Judging:
    """An attempt by the best rule that can judge this table now. `failed`: those of `keys` that no look could judge;
    `leader`: what the visibility rule shall ask in its place."""
    theirs = world.followers[follower]
    if world.sight is not None and not world.marked(follower) and world.sees(compared.leader.name):
        told = world.sight.hot
        hot = told.watch(compared.leader.name, keys, failed)
        ours = leader or world.leader
        return VisibilityJudging(ours, theirs, compared, keys, world.sight, world.gather, hot=hot, told=told)
    return BracketJudging(*world.sides(follower), compared, keys)
