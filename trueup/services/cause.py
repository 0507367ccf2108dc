"""Why did a drift come about? Looked into once it is confirmed, beside verification and never in its way.

Confirmed drift is queued, and a tick takes some of it: the changes of each key come from what is remembered of the
stream, the follower's rows are read once more in one statement per table, and `verifier.cause` decides. What is found
is noted with the drift in the journal. Where more drift comes than can be looked into, the rest stays without a cause.
"""

from __future__ import annotations

import logging
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby
from threading import Lock

from trueup.services.group import GroupWorld
from trueup.services.ownlog import OWN, Anchors, OwnLog
from trueup.services.rogue import Rogue
from trueup.services.verify import Verified
from verifier.cause import STEPS_MAX, Explanation, Known
from verifier.change import Batch
from verifier.compare import Comparison
from verifier.drift import Drift, DriftCause, Kind
from verifier.errors import Oversized, Permanent, Temporary
from verifier.journal import Attribution, DriftJournal
from verifier.look import Row
from verifier.ownlog import OwnLog as Images
from verifier.ownlog import read
from verifier.position import Position, parse
from verifier.refound import rows_found
from verifier.remembered import Remembered
from verifier.replay import Applying
from verifier.table import Key, TableName
from verifier.trace import Recalled, Rows, applied, chain_of, explained, hidden, images_of, state_of
from verifier.written import Dated, Sample, Samples

logger = logging.getLogger("trueup.cause")

QUEUE_MAX = 10_000
_BATCH = 200
_EVERY_SECONDS = 1.0
_PROMPT_SECONDS = 30.0
_REACH_SECONDS = 3.0
_LATE_SECONDS = 120.0
_FOLLOWER = ("follower_high", "follower")
"""Where evidence says up to which position the follower had applied the leader's log when it was read."""


@dataclass(slots=True)
class Recollection:
    """`Remembered` for several threads: a watcher of the stream, and whoever asks."""

    remembered: Remembered = field(default_factory=Remembered)
    _lock: Lock = field(default_factory=Lock)

    def batch(self, batch: Batch, now: float) -> None:
        with self._lock:
            self.remembered.add(batch, now)

    def found_equal(self, follower: str, table: TableName, since: Mapping[Key, float]) -> None:
        with self._lock:
            self.remembered.found_equal(follower, table, since)

    def of(self, follower: str, table: TableName, key: Key) -> tuple[Recalled, float | None]:
        """The key's changes, and when the looks began that found it equal on the follower."""
        with self._lock:
            return self.remembered.changes(table, key), self.remembered.seen(follower, table, key)

    def through(self) -> Position | None:
        with self._lock:
            return self.remembered.through


@dataclass(frozen=True, slots=True)
class Applier:
    """How a follower applies changes, and the local transaction that wrote a row version (None: no version tells)."""

    ways: frozenset[Applying] = frozenset(Applying)
    writer: Callable[[str], int | None] | None = None


@dataclass(frozen=True, slots=True)
class _Foreign:
    """The follower's own transaction that wrote a key last, and when we heard of it."""

    xid: int
    at: float


@dataclass(slots=True)
class CauseService:
    """One group. `explained` is told of every cause that was noted. `appliers` by follower; one that is not named may
    apply changes in any way. `logs` of those followers whose own is read."""

    world: GroupWorld
    journal: DriftJournal
    recollection: Recollection
    appliers: Mapping[str, Applier] = field(default_factory=dict)
    explained: Callable[[Drift, DriftCause], None] = lambda drift, cause: None
    logs: dict[str, OwnLog] = field(default_factory=dict)
    unexplained: int = 0
    """Drift that nobody will look into, because too much of it came at once."""
    _queue: deque[Drift] = field(default_factory=deque)
    _samples: dict[str, Samples] = field(default_factory=dict)
    _foreign: OrderedDict[tuple[str, TableName, Key], _Foreign] = field(default_factory=OrderedDict)
    _sampled: Position | None = None
    _anchors: dict[str, Anchors] = field(default_factory=dict)
    _resumed: bool = False

    @property
    def name(self) -> str:
        return "cause"

    def judged(self, verified: Verified) -> None:
        """Told by whoever verifies. Cheap: it is called in his thread."""
        if verified.equal:
            since = {key: verified.since[key] for key in verified.equal if key in verified.since}
            self.recollection.found_equal(verified.follower, verified.table, since)
        for drift in verified.drifts:
            if len(self._queue) < QUEUE_MAX:
                self._queue.append(drift)
            else:
                self.unexplained += 1

    def wrote(self, rogue: Rogue) -> None:
        """Somebody else wrote these keys: told by whoever follows the follower's own stream, in his thread."""
        now = self.world.clock.now()
        for table, key in rogue.keys:
            self._foreign[rogue.follower, table, key] = _Foreign(rogue.xid, now)
            self._foreign.move_to_end((rogue.follower, table, key))
        while len(self._foreign) > QUEUE_MAX:
            self._foreign.popitem(last=False)

    def tick(self, now: float) -> float:
        """Temporary while a server is away: what was taken from the queue goes back."""
        if self.world.paused(None):
            return _EVERY_SECONDS
        self._resume()
        self._sample(asked=bool(self._queue))
        taken = [self._queue.popleft() for _ in range(min(_BATCH, len(self._queue)))]
        taken.sort(key=lambda drift: (drift.follower, drift.table))
        try:
            for (follower, table), drifts in groupby(taken, key=lambda drift: (drift.follower, drift.table)):
                self._look_into(follower, table, list(drifts))
        except Temporary:
            self._queue.extendleft(reversed(taken))
            raise
        return 0.0 if self._queue else _EVERY_SECONDS

    def _resume(self) -> None:
        """Once, as soon as the stream is read: drift that nobody looked into before an earlier process ended."""
        if self._resumed or self.recollection.through() is None:
            return
        if (room := QUEUE_MAX - len(self._queue)) > 0:
            known = (one.drift for one in self.journal.open(limit=room))
            self._queue.extend(one for one in known if one.cause is None and one.follower in self.world.followers)
        self._resumed = True

    def _sample(self, *, asked: bool) -> None:
        """Date what the followers write, while the leader writes: an idle group is asked nothing until somebody wants
        to know."""
        through = self.recollection.through()
        if through is None or (not asked and self._sampled is not None and self._sampled.covers(through)):
            return
        told: dict[str, tuple[Position, int]] = {}
        reached: list[Position] = []
        for name, applier in self.appliers.items():
            log = self.logs.get(name)
            if applier.writer is None and log is None:
                continue
            replica = self.world.followers[name]
            try:
                place = None if log is None else log.place()
                position = replica.position()
                mark = replica.mark() if applier.writer is not None else None
            except Temporary:
                continue  # who watches lag tells it
            except Permanent as problem:
                self._unread(name, problem)
                continue
            reached.append(position)
            if place is not None:
                self._anchors.setdefault(name, Anchors()).add(place, position)
            if isinstance(mark, int) and mark:
                told[name] = (position, mark)
        if told:
            written = self.world.leader.position()
            for name, (position, mark) in told.items():
                self._samples.setdefault(name, Samples()).add(Sample(mark, position, written))
        if reached and all(position.covers(through) for position in reached):
            self._sampled = through

    def _look_into(self, follower: str, table: TableName, drifts: list[Drift]) -> None:
        compared = self.world.book.pair(follower, table).compared
        drifts = [drift for drift in {one.id: one for one in drifts}.values() if self._open(drift)]
        if compared is None or not drifts:
            return
        wanted = [drift.key for drift in drifts if drift.kind is not Kind.MISSING]
        try:
            rows: Mapping[Key, Row] = {}
            if wanted:
                rows = self.world.followers[follower].rows(compared.follower, wanted).value
        except Oversized:
            for some in (drifts[: len(drifts) // 2], drifts[len(drifts) // 2 :]):
                self._look_into(follower, table, some)
            return
        except Permanent as problem:
            told = {"action": "cause_unknown", "follower": follower, "table": str(table), "why": str(problem)}
            logger.warning("causes not looked into", extra=told)
            return
        logged = self._reached(follower)
        if not logged and follower in self.logs:
            now = self.world.clock.now()
            self._queue.extend(one for one in drifts if now - one.found_at < _LATE_SECONDS)
            drifts = [one for one in drifts if now - one.found_at >= _LATE_SECONDS]
        found: dict[str, Attribution] = {}
        hide = self.world.book.masking.hide(table)
        for drift in drifts:
            explanation, recalled = self._explain(drift, compared, rows.get(drift.key), logged)
            if explanation is None:
                continue
            behind = hidden(replace(recalled, changes=recalled.changes[-STEPS_MAX:]), hide)
            since = _since(explanation, recalled)
            found[drift.id] = Attribution(explanation.cause, since, drift.found_at, behind)
        noted = self.journal.attribute(found)  # who was found anew meanwhile is looked into once more
        for drift in filter(lambda one: one.id in noted, drifts):
            self.explained(drift, found[drift.id].cause)

    def _open(self, drift: Drift) -> bool:
        """Is it still there, as it was found, and not looked into?"""
        known = self.journal.find(drift.id)
        return known is not None and known.cleared_at is None and known.drift.cause is None

    def _reached(self, follower: str) -> bool:
        """Whether the follower's own log was read as far as what its rows showed just now."""
        log = self.logs.get(follower)
        if log is None:
            return False
        until = self.world.clock.now() + _REACH_SECONDS
        try:
            while not log.reached():
                if self.world.clock.now() > until:
                    return False
                self.world.clock.sleep(0.05)
        except Permanent as problem:
            self._unread(follower, problem)
            return False
        return True

    def _unread(self, follower: str, problem: Permanent) -> None:
        """Its own log is not asked any more. (Without one it is who watches lag that tells of the problem.)"""
        if self.logs.pop(follower, None) is not None:
            told = {"action": "cause_unknown", "follower": follower, "why": str(problem)}
            logger.warning("the follower's own log is not read", extra=told)

    def _explain(
        self, drift: Drift, compared: Comparison, row: Row | None, logged: bool
    ) -> tuple[Explanation | None, Recalled]:
        """None if the row is not as it was when it was judged: then it is judged anew."""
        recalled, seen_at = self.recollection.of(drift.follower, drift.table, drift.key)
        both = rows_found(drift, compared, row, recalled, self.world.book.masking.hide(drift.table))
        if both is None:
            return None, recalled
        shown = _shown_through(drift)
        if shown is not None:
            recalled = applied(recalled, shown)
        if recalled.since is None:
            return Explanation(DriftCause.UNKNOWN), recalled
        applier = self.appliers.get(drift.follower, Applier())
        if logged and (read_there := self._read_log(drift, compared, recalled, both, applier)) is not None:
            return read_there, recalled
        known = known_of(recalled, seen_at, self._dated(drift.follower, applier, row), drift.found_at, applier.ways)
        if self._is_foreign(drift, applier, row, recalled):
            known = replace(known, foreign=True)
        return explained(compared.leader, recalled, both, known), recalled

    def _read_log(
        self, drift: Drift, compared: Comparison, recalled: Recalled, both: Rows, applier: Applier
    ) -> Explanation | None:
        """What the follower's own log tells; None if it does not, or tells near values apart."""
        if any(column.tolerance is not None and column.tolerance.near for column in compared.leader.columns):
            return None
        own = self.logs[drift.follower].changes(drift.table, drift.key)
        anchors = self._anchors.get(drift.follower, Anchors())
        begun = None if own.since is None else anchors.applied(own.since)
        if begun is None or any(one.origin == OWN for one in own.changes):
            return None  # what we repaired is not what the follower applied
        images = images_of(compared.leader, own, recalled)
        chain = chain_of(compared.leader, recalled.changes, both.leader)
        log = Images(images, _covered(recalled, begun), applier.ways)
        return read(chain, state_of(compared.leader, both.follower), log)

    def _is_foreign(self, drift: Drift, applier: Applier, row: Row | None, recalled: Recalled) -> bool:
        """Did somebody else write what the follower shows? A row that is there names its writer; of one that is not,
        only a change of the leader's that came later speaks for another."""
        foreign = self._foreign.get((drift.follower, drift.table, drift.key))
        if foreign is None:
            return False
        if row is not None and row.version is not None and applier.writer is not None:
            return applier.writer(row.version) == foreign.xid & 0xFFFFFFFF
        return all((one.received_at or 0.0) <= foreign.at for one in recalled.changes)

    def _dated(self, follower: str, applier: Applier, row: Row | None) -> Dated:
        samples = self._samples.get(follower)
        if samples is None or applier.writer is None or row is None or row.version is None:
            return Dated()
        writer = applier.writer(row.version)
        return Dated() if writer is None else samples.dated(writer)


def known_of(
    recalled: Recalled, seen_at: float | None, dated: Dated, found_at: float | None, ways: frozenset[Applying]
) -> Known:
    """What is known of a row with these changes. Times are seconds on trueup's clock."""
    changes = recalled.changes
    seen = None if seen_at is None else sum(1 for one in changes if (one.received_at or 0.0) <= seen_at)
    passed = existed = None
    if dated.after is not None and recalled.since is not None and dated.after.covers(recalled.since):
        passed = _covered(recalled, dated.after)
    if dated.before is not None:
        existed = _covered(recalled, dated.before)
    last = changes[-1].received_at if changes else None
    prompt = last is not None and found_at is not None and found_at - last <= _PROMPT_SECONDS
    return Known(seen, passed, existed, prompt, None, ways)


def _covered(recalled: Recalled, position: Position) -> int:
    """How many of the first changes lie at or below the position."""
    count = 0
    for one in recalled.changes:
        if not position.covers(one.commit):
            break
        count += 1
    return count


def _shown_through(drift: Drift) -> Position | None:
    for name in _FOLLOWER:
        if text := drift.evidence.positions.get(name):
            return parse(text)
    return None


def _since(explanation: Explanation, recalled: Recalled) -> str | None:
    if explanation.step is None:
        return None
    return recalled.changes[explanation.step - 1].commit.text()
