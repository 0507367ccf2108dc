"""What the services tell, as metrics: counters grow as things happen, gauges are read from the state at each scrape."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import trueup
from dashboards import catalogue as c
from dashboards.meter import Meter
from dashboards.snapshot import FollowerState, GroupState, InvariantState, SlotState, Snapshot, StreamState
from reconciler.repair import RefusalReason, State
from trueup.bootstrap.group import GroupRuntime
from trueup.bootstrap.watching import role
from trueup.daemon import Post
from trueup.services.rogue import Rogue
from trueup.services.verify import Verified
from verifier.change import Batch
from verifier.doubt import Doubt
from verifier.drift import Drift, DriftCause
from verifier.invariant import Standing
from verifier.lag import HopLag, LagState
from verifier.scan import ChunkRead
from verifier.table import TableName


@dataclass(slots=True)
class Rogues:
    """What somebody else wrote on followers, by table; beyond the budget of series tables are counted together."""

    meter: Meter
    group: str
    tables_max: int
    _counted: set[str] = field(default_factory=set)
    """Tables with series of their own."""

    def known(self, follower: str, tables: Iterable[TableName]) -> None:
        """Tables of which the follower's own log tells: series at 0."""
        for table in tables:
            self._wrote(follower, str(table), 0)

    def wrote(self, rogue: Rogue) -> None:
        for table, count in Counter(str(table) for table, _ in rogue.keys).items():
            self._wrote(rogue.follower, table, count)

    def _wrote(self, follower: str, table: str, count: int) -> None:
        if len(self._counted) < self.tables_max:
            self._counted.add(table)
        told = table if table in self._counted else c.OTHER
        self.meter.add(c.ROGUE_WRITES, count, group=self.group, follower=follower, table=told)


@dataclass(slots=True)
class Tally:
    """The callbacks of one group's services."""

    meter: Meter
    group: str
    rogues: Rogues
    last_event_at: float | None = None
    scan_completed_at: float | None = None

    def prepare(self, followers: Sequence[str]) -> None:
        """Series at 0, so that the first event is an increase."""
        for follower in followers:
            self.meter.prepare(c.CHUNKS, group=self.group, follower=follower)
            self.meter.prepare(c.TOUCHED, group=self.group, follower=follower)
            self.meter.prepare(c.ROWS, group=self.group, follower=follower)
            self.meter.prepare(c.DRIFT_CAUSES, group=self.group, follower=follower)
        for metric in (
            c.STREAM_EVENTS,
            c.STREAM_TRANSACTIONS,
            c.DEAD_LETTERS,
            c.DIRTY_ROWS,
            c.REPAIRS,
            c.REFUSALS,
            c.SERVICE_FAILURES,
            c.THROTTLE,
        ):
            self.meter.prepare(metric, group=self.group)

    def batch(self, batch: Batch, now: float) -> None:
        if batch.transactions or batch.events:
            self.last_event_at = now
        self.meter.add(c.STREAM_EVENTS, sum(len(one.changes) for one in batch.transactions), group=self.group)
        self.meter.add(c.STREAM_TRANSACTIONS, len(batch.transactions), group=self.group)
        self.meter.add(c.DEAD_LETTERS, len(batch.letters), group=self.group)

    def read(self, read: ChunkRead) -> None:
        for side, seconds in read.took.items():
            where = "leader" if side is None else "follower"
            self.meter.observe(c.CHUNK_SECONDS, seconds, group=self.group, side=where)
        for follower, seen in read.followers.items():
            result = "in_flight" if seen.suspects else "match"
            self.meter.add(c.CHUNKS, group=self.group, follower=follower, result=result)
            self.meter.add(c.ROWS, read.leader.rows, group=self.group, follower=follower)
        for follower in read.failed:
            self.meter.add(c.CHUNKS, group=self.group, follower=follower, result="unverified")

    def verified(self, verified: Verified, opened: int) -> None:
        """`opened` of its drifts were not known before."""
        counts = {
            "match": len(verified.equal),
            "drift": len(verified.drifts),
            "unverified": verified.unsettled,
        }
        for result, count in counts.items():
            self.meter.add(c.TOUCHED, count, group=self.group, follower=verified.follower, result=result)
        for _ in range(opened):
            age = max(verified.ages, default=0.0)
            self.meter.observe(c.DETECTION, age, group=self.group, follower=verified.follower)

    def explained(self, drift: Drift, cause: DriftCause) -> None:
        self.meter.add(c.DRIFT_CAUSES, group=self.group, follower=drift.follower, cause=cause.value)

    def repaired(self, state: State, count: int) -> None:
        self.meter.add(c.REPAIRS, count, group=self.group, state=state.value)

    def refused(self, reason: RefusalReason) -> None:
        self.meter.add(c.REFUSALS, group=self.group, reason=reason.name.lower())

    def finished(self, table: TableName, at: float) -> None:
        self.scan_completed_at = at

    def throttled(self, reason: str, seconds: float) -> None:
        self.meter.add(c.THROTTLE, seconds, group=self.group, reason=reason)


def listen(runtime: GroupRuntime, tally: Tally) -> None:
    """Count what somebody else wrote on followers, and the chunks of crowded tables."""
    for rogue in runtime.rogue:
        rogue.found = (*rogue.found, tally.rogues.wrote)

    def reread(read: ChunkRead) -> None:
        tally.read(read)
        tally.meter.add(c.DIRTY_ROWS, read.leader.rows, group=tally.group)

    if runtime.scan.dirty is not None:
        runtime.scan.dirty.read = reread


def ticked(meter: Meter) -> Callable[[Post, float], None]:
    def note(post: Post, seconds: float) -> None:
        meter.observe(c.TICK_SECONDS, seconds, group=post.group, service=_service(post))

    return note


def failed(meter: Meter) -> Callable[[Post], None]:
    return lambda post: meter.add(c.SERVICE_FAILURES, group=post.group, service=_service(post))


def _service(post: Post) -> str:
    return post.service.name.partition(":")[0]


def _role(runtime: GroupRuntime, follower: str) -> str:
    return role(runtime.servers.followers[follower])


@dataclass(frozen=True, slots=True, eq=False)
class Scrape:
    """A `dashboards.snapshot.Source`: reads journal and services when a scrape comes. Asks no server: a scrape must
    come back, and show what is wrong, above all while one is away."""

    instance: str
    groups: Mapping[str, tuple[GroupRuntime, Tally]]
    posts: Callable[[], Sequence[Post]]

    def __call__(self) -> Snapshot:
        states = tuple(self._group(runtime, tally) for runtime, tally in self.groups.values())
        return Snapshot(trueup.__version__, self.instance, states)

    def _group(self, runtime: GroupRuntime, tally: Tally) -> GroupState:
        now = runtime.world.clock.now()
        followers, hops = runtime.lag.told(now)
        names = runtime.world.book.known_names()
        for rogue in runtime.rogue:
            tally.rogues.known(rogue.follower, names)
        return GroupState(
            name=runtime.settings.name,
            leader=runtime.world.leader.name,
            paused=runtime.world.pauses is not None and any(p.table is None for p in runtime.world.pauses.known()),
            followers=self._followers(runtime, {lag.hop: lag for lag in followers}),
            stream=self._stream(runtime, tally, hops),
            lag_warn_seconds=runtime.settings.lag.warn,
            lag_limit_seconds=runtime.settings.lag.max,
            clock_ahead_seconds=runtime.lag.clock_ahead(),
            scan_period_seconds=runtime.settings.scan.period,
            scan_completed_at=tally.scan_completed_at,
            oldest_verified={str(name): at for name, at in runtime.journal.scans.oldest(names).items()},
            invariants=self._invariants(runtime),
            repairs=self._repairs(runtime),
            outbox_pending=runtime.journal.outbox.pending_count(),
            services=self._services(runtime.settings.name),
            dirty={str(name): count for name, count in runtime.journal.dirty.counts().items()},
        )

    def _followers(self, runtime: GroupRuntime, lags: Mapping[str, HopLag]) -> tuple[FollowerState, ...]:
        drift: dict[str, dict[tuple[str, str], int]] = {name: {} for name in runtime.world.followers}
        for (follower, table, kind), count in runtime.journal.drifts.counts().items():
            drift.setdefault(follower, {})[str(table), kind] = count
        found = []
        for name in runtime.world.followers:
            lag = lags.get(name)
            found.append(
                FollowerState(
                    name=name,
                    role=_role(runtime, name),
                    state=lag.state.value if lag else LagState.UNKNOWN.value,
                    lag_seconds=lag.seconds if lag else None,
                    lag_changes=lag.changes if lag else None,
                    lag_transactions=lag.transactions if lag else None,
                    touched_pending=runtime.journal.stream.touched_count(name),
                    drift=drift[name],
                    unverified=self._unverified(runtime, name),
                )
            )
        return tuple(found)

    def _unverified(self, runtime: GroupRuntime, follower: str) -> Mapping[str, int]:
        """Tables by reason: what the stream lost sight of, or the follower's own log, what the scan could not compare,
        and what never rests."""
        names, stream = runtime.world.book.known_names(), runtime.journal.stream
        unseen = {table: one.cause for (name, table), one in stream.lost(names).items() if name == follower}
        unseen |= {table: one.cause for table, one in stream.blind(names).items() if table is not None}
        counted = Counter(cause.name.lower() for cause in unseen.values())
        for (name, _), one in list(runtime.scan.unverified.items()):
            counted[one.doubt.value] += name == follower
        counted[Doubt.MOVING.value] += runtime.verify[follower].moving(runtime.world.clock.now())
        return {reason: count for reason, count in counted.items() if count}

    def _stream(self, runtime: GroupRuntime, tally: Tally, hops: Sequence[HopLag]) -> StreamState | None:
        if runtime.stream is None:
            return None
        last = hops[-1] if hops else None
        blind = Counter(
            one.cause.name.lower() for one in runtime.journal.stream.blind(runtime.world.book.known_names()).values()
        )
        return StreamState(
            kind=runtime.stream.kind,
            state=last.state.value if last else LagState.UNKNOWN.value,
            last_event_at=tally.last_event_at,
            hops={lag.hop: lag.seconds for lag in hops if lag.seconds is not None},
            blind=dict(blind),
            backlog=runtime.backlog.messages,
            slots={name: SlotState(one.retained, one.safe, one.status) for name, one in runtime.watch.slots.items()},
        )

    def _invariants(self, runtime: GroupRuntime) -> tuple[InvariantState, ...]:
        found = []
        for name, one in runtime.check.scheduled.items():
            finding = runtime.check.findings.get(name)
            answered = finding is not None and finding.standing is not Standing.UNVERIFIED
            found.append(
                InvariantState(
                    name,
                    one.every_seconds,
                    finding.violations if finding is not None and answered else None,
                    runtime.check.answered_at.get(name),
                )
            )
        return tuple(found)

    def _repairs(self, runtime: GroupRuntime) -> Mapping[str, int]:
        waiting = (State.PLANNED, State.APPROVED, State.APPLIED)
        counted = runtime.journal.repairs.counts()
        return {state.value: counted.get(state, 0) for state in waiting}

    def _services(self, group: str) -> Mapping[str, float | None]:
        """By kind of service the end of the tick that is longest ago, so that one follower's trouble is seen."""
        found: dict[str, float | None] = {}
        for post in self.posts():
            if post.group == group:
                kind = _service(post)
                known = found.get(kind, post.last_success_at)
                both = (known, post.last_success_at)
                found[kind] = None if None in both else min(at for at in both if at is not None)
        return found
