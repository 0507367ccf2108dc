"""The daemon, wired: groups, posts, health, HTTP."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field

from config.settings import Settings
from dashboards.exporter import Exporter
from dashboards.http import Health, Pages, Server
from dashboards.meter import Meter
from trueup import metrics
from trueup.bootstrap.causing import open_causes
from trueup.bootstrap.group import GroupRuntime, open_group
from trueup.bootstrap.lease import LEASE, LeaseService, take
from trueup.clock import SystemClock
from trueup.daemon import Daemon, Post
from trueup.metrics import Rogues, Scrape, Tally
from trueup.services.cause import CauseService
from trueup.services.verify import Verified
from verifier.drift import Drift

logger = logging.getLogger("trueup.daemon")


@dataclass(slots=True)
class RunningDaemon:
    """Started with `start`, ended with `close`; everything in between runs in threads."""

    settings: Settings
    groups: list[GroupRuntime]
    daemon: Daemon
    server: Server | None
    tokens: dict[str, int] = field(default_factory=dict)

    def start(self) -> None:
        if self.server is not None:
            self.server.start()
        self.daemon.start()

    def close(self) -> None:
        """Stop the turns, record the last positions, give the leases back."""
        with ExitStack() as ending:  # whatever one of them cannot do, the others are closed
            for group in self.groups:
                ending.callback(group.close)
                ending.callback(group.journal.leases.release, LEASE, self.tokens[group.settings.name])
            if self.server is not None:
                ending.callback(self.server.stop)
            self.daemon.stop()


def open_daemon(
    settings: Settings, *, serve: bool = True, on_drift: Callable[[Verified], None] | None = None
) -> RunningDaemon:
    """Connect and wire everything; nothing runs yet. Permanent if another daemon holds a group's lease."""
    clock = SystemClock()
    meter = Meter()
    groups: list[GroupRuntime] = []
    tallies: dict[str, tuple[GroupRuntime, Tally]] = {}
    tokens: dict[str, int] = {}
    posts: list[Post] = []
    try:
        for group in settings.groups:
            runtime = open_group(settings, group)
            groups.append(runtime)
            tokens[group.name] = take(runtime.journal, settings.instance, clock)
            tally = Tally(meter, group.name, Rogues(meter, group.name, settings.metrics.tables_max))
            tallies[group.name] = (runtime, tally)
            causes = open_causes(runtime)
            _listen(runtime, tally, causes, on_drift)
            posts.append(Post(group.name, LeaseService(runtime.journal.leases, tokens[group.name])))
            posts.extend(Post(group.name, service) for service in runtime.services())
            posts.extend(Post(group.name, service) for service in (causes,) if service is not None)
        daemon = Daemon(posts, clock, metrics.ticked(meter), metrics.failed(meter))
        server = None
        if serve:
            exporter = Exporter(Scrape(settings.instance, tallies, lambda: posts), meter, settings.metrics.tables_max)
            pages = Pages(exporter.registry(), lambda: _live(daemon), lambda: _ready(daemon, groups))
            server = Server(*settings.http.place(), pages)
    except BaseException:
        for runtime in groups:
            runtime.close()
        raise
    return RunningDaemon(settings, groups, daemon, server, tokens)


def _listen(
    runtime: GroupRuntime, tally: Tally, causes: CauseService | None, on_drift: Callable[[Verified], None] | None
) -> None:
    """Connect what services tell to who wants to know."""
    tally.prepare(list(runtime.world.followers))
    if runtime.follow is not None:
        runtime.follow.watchers = (*runtime.follow.watchers, tally)
    runtime.scan.read = tally.read
    runtime.scan.finished = tally.finished
    if causes is not None:
        causes.explained = tally.explained
    metrics.listen(runtime, tally)
    runtime.scan.throttled = tally.throttled
    if runtime.scan.throttle is not None:
        runtime.scan.throttle.told = tally.throttled

    def settled(verified: Verified) -> None:
        fresh = [drift for drift in verified.drifts if _opened(runtime, drift)]
        tally.verified(verified, len(fresh))
        owner = runtime.repair.get(verified.follower)
        if owner is not None:
            owner.judged(verified.table, verified.since, verified.equal, verified.drifts)
        if causes is not None:
            causes.judged(verified)
        for drift in fresh:
            told = {"action": "drift_confirmed", "follower": drift.follower, "table": str(drift.table)}
            told |= {"kind": drift.kind.value, "method": drift.evidence.method.value}
            logger.warning("drift confirmed", extra=told)
        if on_drift is not None:
            on_drift(verified)

    for verify in runtime.verify.values():
        verify.settled = settled
    for repair in runtime.repair.values():
        repair.moved, repair.refused = tally.repaired, tally.refused


def _opened(runtime: GroupRuntime, drift: Drift) -> bool:
    """Whether this finding opened the drift: what is known and only found again is no news."""
    known = runtime.journal.drifts.find(drift.id)
    return known is None or known.first_found_at == drift.found_at


def _live(daemon: Daemon) -> Health:
    reasons = daemon.dead()
    return Health(not reasons, tuple(reasons))


def _lost(group: GroupRuntime) -> list[str]:
    """What followers' own logs lost sight of."""
    world = group.world
    return [
        f"{group.settings.name}: {follower}'s own log lost sight of {table}, until it is scanned again"
        for table, followers in sorted(world.lost.items(), key=str)
        if not world.book.hopeless(table) and not world.paused(table)
        for follower in sorted(followers)
    ]


def _ready(daemon: Daemon, groups: list[GroupRuntime]) -> Health:
    """Red while anything keeps trueup from telling the truth about some table in time."""
    reasons = [*daemon.dead(), *daemon.troubled()]
    for group in groups:
        if group.follow is not None and not group.follow.started:
            reasons.append(f"{group.settings.name}: the stream has not begun yet")
        if group.watch.fault:
            reasons.append(f"{group.settings.name}: {group.watch.fault}")
        # What cannot be compared at all is told by metrics and doctor: no waiting makes it ready. Nor does it for what
        # an operator has paused: that is as it is wanted.
        blind = [name for name in group.world.blind if name is None or not group.world.book.hopeless(name)]
        blind = [name for name in blind if not group.world.paused(name)]
        for table in sorted(map(str, blind)):
            reasons.append(f"{group.settings.name}: the stream is blind for {table} until it is scanned again")
        reasons += _lost(group)
    return Health(not reasons, tuple(reasons))
