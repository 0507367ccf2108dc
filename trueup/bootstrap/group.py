"""One group of the daemon, wired: servers, stream, journal, services, and the state that scrapes ask for."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial

from config.settings import Group, Settings
from connectors.journal.opening import Journal, open_journal
from connectors.postgres.apply import PostgresRepairSink
from connectors.postgres.replica import PostgresReplica
from reconciler.events import Announcer
from reconciler.masking import Masking
from reconciler.policy import Mode, RepairPolicy
from trueup.audit.brake import Braking
from trueup.bootstrap.announcing import announced_by, heard
from trueup.bootstrap.backlog import Backlog
from trueup.bootstrap.beating import open_beats
from trueup.bootstrap.engines import Endpoints
from trueup.bootstrap.events import event_sink
from trueup.bootstrap.fed import close_fed, fed_names, hindered, with_fed
from trueup.bootstrap.invariants import checkers
from trueup.bootstrap.lateness import words
from trueup.bootstrap.masking import open_masking, strangers
from trueup.bootstrap.rogue import open_rogues
from trueup.bootstrap.servers import Address, brakes_of, patterns_of, watermark_of
from trueup.bootstrap.stream import OpenStream, open_stream
from trueup.bootstrap.watching import Watched, hindrances, open_watched, retained, settled, told
from trueup.bootstrap.watermark import Watermarks, open_watermarks, ticks_of
from trueup.clock import SystemClock
from trueup.pausing import Pauses
from trueup.pool import Pool
from trueup.services.check import CheckService, Scheduled
from trueup.services.dirty import DirtyScan
from trueup.services.follow import FollowService
from trueup.services.group import GroupWorld, Service, Sighted, TableBook
from trueup.services.joint import JointLooks
from trueup.services.letters import DeadLetters
from trueup.services.published import Published
from trueup.services.relay import RelayService
from trueup.services.repair import RepairService
from trueup.services.rogue import RogueService
from trueup.services.rounds import Rounds
from trueup.services.scan import Pace, ScanService
from trueup.services.throttle import Logged, Throttle
from trueup.services.verify import VerifyService
from trueup.services.watch import SharedLag, WatchService
from verifier.brake import Brakes, small_enough
from verifier.errors import Misconfigured
from verifier.lag import LagTracker
from verifier.look import Role
from verifier.policy import Limits, ScanPolicy, SettlePolicy
from verifier.ports import Clock
from verifier.table import TableName
from verifier.window import TransactionWindow

logger = logging.getLogger("trueup.bootstrap")

_GATHER_SECONDS = 0.25
"""Touched keys that wait for their round need not be on disk much sooner."""

References = Mapping[TableName, Collection[TableName]]


@dataclass(slots=True)
class GroupRuntime:
    """Everything that one group holds open. `services` in the order in which they are started."""

    settings: Group
    world: GroupWorld
    servers: Watched
    journal: Journal
    pool: Pool
    lag: SharedLag
    stream: OpenStream | None
    follow: FollowService | None
    scan: ScanService
    check: CheckService
    watch: WatchService
    relay: RelayService | None
    verify: dict[str, VerifyService] = field(default_factory=dict)
    repair: dict[str, RepairService] = field(default_factory=dict)
    backlog: Backlog = field(default_factory=Backlog)
    rogue: list[RogueService] = field(default_factory=list)
    watermarks: Watermarks | None = None
    ends: list[Callable[[], None]] = field(default_factory=list)
    """What else is to be closed, by whoever opened it for the group."""

    def services(self) -> list[Service]:
        found: list[Service] = [self.watch]
        if self.follow is not None:
            found.append(self.follow)
        found.extend(self.rogue)
        found.extend(self.verify.values())
        found.append(self.scan)
        if self.check.scheduled:
            found.append(self.check)
        found.extend(self.repair.values())
        if self.relay is not None:
            found.append(self.relay)
        return found

    def close(self) -> None:
        """In the order of what depends on what: the stream records its barrier before the journal closes."""
        if self.follow is not None:
            self.follow.close()
        for rogue in self.rogue:
            rogue.close()
        for repair in self.repair.values():
            repair.close()
        if self.relay is not None:
            self.relay.close()
        for end in self.ends:
            end()
        if self.watermarks is not None:
            self.watermarks.close()
        self.servers.close()
        self.journal.close()
        self.pool.close()


def open_group(settings: Settings, group: Group) -> GroupRuntime:
    """Connects to the servers to agree on digests; whatever was opened is closed again on error."""
    limits = Limits(group.scan.connections, 5, group.scan.statement_timeout, group.scan.lock_timeout)
    leader = Address(group.leader.name, group.leader.address())
    servers = open_watched(group)
    closing: list[Callable[[], None]] = [servers.close]
    try:
        for remark in settled(group, servers):
            logger.warning("digests", extra={"action": "agreement", "why": remark})
        book = book_of(group, servers)
        book.masking = open_masking(group.tables.mask_columns, settings.journal.address(), group.name)
        for table in strangers(book):
            why = f"tables.mask_columns names {table}, which is not among the tables"
            logger.warning("masking", extra={"action": "mask_unknown", "table": str(table), "why": why})
        announcer = Announcer(settings.instance, group.name, book.masking)
        journal = open_journal(
            settings.journal.address(), group.name, announce_drift=announced_by(announcer, book.cached_key)
        )
        closing.append(journal.close)
        heard(group, journal, SystemClock())
        pool = Pool(workers=4 + 2 * len(servers.followers))
        closing.append(pool.close)
        marks = None
        if (watermark := watermark_of(group)) is not None:
            marks = open_watermarks(watermark, leader, servers.leader, servers.followers, limits)
            closing.append(marks.close)
            for remark in marks.try_out():
                logger.info("watermark", extra={"action": "agreement", "why": remark})
        runtime = _wired(settings, group, servers, book, announcer, journal, pool, leader.url, marks)
        if marks is not None:
            runtime.watermarks, runtime.world.placed = marks, marks.placed
        return runtime
    except BaseException:
        for close in reversed(closing):
            close()
        raise


def _wired(
    settings: Settings,
    group: Group,
    servers: Watched,
    book: TableBook,
    announcer: Announcer,
    journal: Journal,
    pool: Pool,
    leader_url: str,
    marks: Watermarks | None,
) -> GroupRuntime:
    clock = SystemClock()
    stream = open_stream(group, leader_url, book)
    sight = None
    if stream is not None:
        published = Published(partial(_told, servers, stream))
        sight = Sighted(TransactionWindow(), list(servers.followers), published)
    followers = with_fed(group, servers.leader, servers.followers, None if stream is None else stream.index)
    world = GroupWorld(group.name, servers.leader, followers, book, clock, pool.gather, sight)
    world.pauses = Pauses(journal.pauses, clock)
    lag = SharedLag(LagTracker(interval_seconds=2.0, lagging_above=group.lag.warn, stalled_after=group.lag.stalled))
    follow = None
    backlog = Backlog()
    if stream is not None:
        backlog = Backlog(stream.backlog)
        follow = FollowService(world, stream.stream, journal.stream, watchers=(lag, backlog), heard=stream.heard)
        follow.scans = journal.scans
        follow.gather_seconds = min(_GATHER_SECONDS, group.verify.every / 4)
        follow.strangers = stream.strangers
    pace = Pace(period_seconds=group.scan.period, rows_per_second=group.scan.rows_per_second)
    scan = ScanService(world, journal.scans, journal.stream, _scan_policy(group), pace, drifts=journal.drifts)
    scan.throttle = _throttle(group, servers, clock, marks)
    scan.dirty = DirtyScan(world, journal.dirty, journal.stream, _scan_policy(group), throttle=scan.throttle)
    check = CheckService(_scheduled(group, servers, announcer.masking), announcer, journal.outbox)
    check.paused = lambda: world.paused(None)
    watch = WatchService(
        world,
        lag,
        source_alive=stream.alive if stream is not None else lambda: None,
        hindrances=hindered(group, hindrances(servers)),
        lagging_above=group.lag.warn,
        stalled_after=group.lag.stalled,
        retained=lambda: retained(servers, fed_names(group)),
    )
    watch.beats = open_beats(group, servers.leader, followers)
    sink = event_sink(group)
    relay = RelayService(journal.outbox, sink, clock, group.events.relay_every) if sink is not None else None
    if follow is not None:
        follow.letters = DeadLetters(announcer, journal.outbox, delivers=relay is not None)
    runtime = GroupRuntime(
        group, world, servers, journal, pool, lag, stream, follow, scan, check, watch, relay, backlog=backlog
    )
    patience = SettlePolicy(
        wait_first_seconds=0.02, give_up_seconds=group.verify.patience, batch_keys=group.verify.batch_keys
    )
    joint = (
        JointLooks(servers.leader, len(group.followers)) if len(group.followers) > 1 and group.verify.every else None
    )
    for one in group.followers:
        rounds = Rounds(group.verify.every, group.verify.load)
        runtime.verify[one.name] = VerifyService(
            world, one.name, journal.stream, patience, group.verify.pending_max, rounds=rounds, joint=joint
        )
        if group.repair.mode != "off":
            runtime.repair[one.name] = _repair(
                group, one.name, world, journal, announcer, servers, one.repair_address, lag
            )
    runtime.ends.append(partial(close_fed, followers))
    runtime.rogue.extend(open_rogues(group, world, journal))
    return runtime


def _told(servers: Watched, stream: OpenStream) -> dict[TableName, str]:
    """The tables of which every change reaches us: published, and passed on. With what they are made of."""
    published = told(servers.leader, stream.publication)
    captured = stream.captured(frozenset(published))
    return {table: made_of for table, made_of in published.items() if table in captured}


def book_of(group: Group, servers: Watched) -> TableBook:
    """Misconfigured if the group's tables are narrowed or mapped, which audits alone can keep to."""
    if refused := group.tables.only_for_audits():
        raise Misconfigured(
            f"group {group.name}: tables.{', tables.'.join(refused)} are for 'trueup audit' alone, because repairs "
            "would not keep to them; write them into a configuration of the audit's own"
        )
    return TableBook(
        servers.leader,
        servers.followers,
        patterns_of(group),
        SystemClock(),
        {name: tuple(columns) for name, columns in group.tables.exclude_columns.items()},
        {name: tuple(columns) for name, columns in group.tables.keys.items()},
        native=servers.agreed if isinstance(servers, Endpoints) else None,
        tolerances=group.tables.tolerated(),
    )


def _scan_policy(group: Group) -> ScanPolicy:
    most = min(group.scan.chunk_rows_max, ScanPolicy().rows_max)
    policy = ScanPolicy(chunk_seconds=group.scan.chunk_time, rows_max=most, rows_first=min(4_000, most))
    return small_enough(policy, group.brakes.rows_per_second)


def _throttle(group: Group, servers: Watched, clock: Clock, marks: Watermarks | None) -> Throttle | None:
    """What holds the scan back. Forbidden, Permanent, Misconfigured if a limit cannot be read: it is tried at once."""
    brakes = brakes_of(group)
    if brakes == Brakes():
        return None
    ticks = ticks_of(marks, open_beats(group, servers.leader, servers.followers))
    braking = Braking(brakes, servers.leader, servers.followers, clock, Logged(), ticks=ticks)
    braking.try_out()
    return Throttle(braking, clock)


def _scheduled(group: Group, servers: Watched, masking: Masking) -> dict[str, Scheduled]:
    found = checkers(group, servers, masking)
    return {one.name: Scheduled(found[one.name], one.every) for one in group.invariants}


def repair_policy(group: Group, *, dry_run: bool = False) -> RepairPolicy:
    """What the configuration allows."""
    return RepairPolicy(
        mode=Mode(group.repair.mode),
        dry_run=dry_run,
        per_hour=group.repair.per_hour,
        table_share=group.repair.share_of_table,
    )


def _repair(
    group: Group,
    follower: str,
    world: GroupWorld,
    journal: Journal,
    announcer: Announcer,
    servers: Watched,
    address: Callable[[], str],
    lag: SharedLag,
) -> RepairService:
    policy = repair_policy(group)

    def opening() -> tuple[PostgresRepairSink | None, References]:
        # Asked late: a follower that is away must not keep the daemon from starting.
        replica = world.followers[follower]
        if not isinstance(replica, PostgresReplica) or replica.role() is not Role.SUBSCRIBER:
            return None, {}
        system = servers.leader.identity().system
        sink = PostgresRepairSink(address(), leader_system=system, fire_triggers=policy.fire_triggers)
        try:
            return sink, sink.references()
        except BaseException:
            sink.close()
            raise

    writes = policy.mode in (Mode.APPROVE, Mode.APPLY)
    return RepairService(
        world, follower, journal.drifts, journal.repairs, journal.stream, announcer, policy, None,
        opening=opening if writes else None, late=partial(_late, lag, follower, group.lag.max, world.clock),
    )  # fmt: skip


def _late(lag: SharedLag, follower: str, most: float, clock: Clock) -> str:
    """Why the follower's repairs pause, in words; empty if they do not."""
    late = lag.beyond(follower, most, clock.now())
    return "" if late is None else words(follower, late)
