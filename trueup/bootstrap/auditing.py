"""Wire one audit: from settings or plain URLs to a runnable `Audit`."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from trueup.audit.progress import Watcher
from trueup.audit.report import Json, finding_entry
from trueup.audit.request import Request
from trueup.bootstrap.engines import Endpoints, open_endpoints
from trueup.bootstrap.masking import open_masking
from trueup.bootstrap.servers import Address, brakes_of, watermark_of
from trueup.clock import SystemClock
from trueup.pool import Pool
from verifier.brake import Brakes
from verifier.compare import Comparison
from verifier.outcome import Judging
from verifier.policy import Limits, ScanPolicy, SettlePolicy
from verifier.ports import Placed, Replica
from verifier.table import Key, TableName

if TYPE_CHECKING:  # an audit of plain URLs starts in half the time without the settings' libraries
    from config.settings import Group
    from connectors.journal.opening import Journal
    from reconciler.masking import Masking
    from reconciler.ports import Event
    from trueup.audit.brake import Braking
    from trueup.audit.lineup import Lineup
    from trueup.audit.runner import Audit
    from trueup.audit.since import Source
    from trueup.audit.streamed import Streamed
    from trueup.bootstrap.watermark import Watermarks
    from verifier.drift import Drift
    from verifier.watermark import WatermarkPolicy


@dataclass(frozen=True, slots=True)
class Plan:
    """What to audit and how carefully, wherever it was said. `journal` is a path or URL."""

    group: str
    leader: Address
    followers: tuple[Address, ...]
    request: Request
    journal: str | Path
    scan: ScanPolicy = field(default_factory=ScanPolicy)
    settle: SettlePolicy = field(default_factory=SettlePolicy)
    limits: Limits = field(default_factory=Limits)
    drifts_shown: int = 10_000
    brakes: Brakes = field(default_factory=Brakes)
    watermark: WatermarkPolicy | None = None
    """How followers are judged that tell no position in the leader's log."""
    stream: str | None = None
    """The leader's change stream, as `--stream` names it; it judges keys in flight where it can."""
    pause_file: Path | None = None
    tables_at_once: int | None = None
    """None: half of the connections, because a table is read by two on the leader."""
    checked: Group | None = None
    """The group whose invariants are checked after the tables."""
    followed: Group | None = None
    """The group whose change streams a daemon may follow into this journal."""
    told_by: str | None = None
    """The instance that tells of drift in that group's events; None: nobody is told."""


@dataclass(slots=True)
class OpenAudit:
    """A wired audit and what must be closed after it."""

    audit: Audit
    servers: Endpoints
    journal: Journal
    pool: Pool
    remarks: Sequence[str]
    watermarks: Watermarks | None = None
    streamed: Streamed | None = None
    sources: Mapping[str, Source] | None = None
    """The change streams that a daemon follows, as `trueup.bootstrap.since` has asked about them."""
    tell: Callable[[Callable[[str], None]], None] = lambda note: None
    """Sends the events that wait in the journal where nobody else does, and notes what keeps it from that."""

    def close(self) -> None:
        if self.streamed is not None:
            self.streamed.close()
        if self.watermarks is not None:
            self.watermarks.close()
        self.servers.close()
        self.journal.close()
        self.pool.close()


def plan_of(group: Group, journal: str, request: Request) -> Plan:
    """The plan that a configured group describes."""
    scan = group.scan
    rows_max = min(scan.chunk_rows_max, ScanPolicy().rows_max)
    return Plan(
        group=group.name,
        leader=Address(group.leader.name, group.leader.address()),
        followers=tuple(Address(one.name, one.address(), one.subscription) for one in group.followers),
        request=request,
        journal=journal,
        scan=ScanPolicy(chunk_seconds=scan.chunk_time, rows_max=rows_max, rows_first=min(4_000, rows_max)),
        settle=SettlePolicy(give_up_seconds=scan.settle_timeout),
        limits=Limits(
            connections=scan.connections,
            statement_seconds=scan.statement_timeout,
            lock_seconds=scan.lock_timeout,
        ),
        watermark=watermark_of(group),
        followed=group,
        brakes=brakes_of(group),
    )


def open_audit(plan: Plan, *, run: str | None, watcher: Watcher, stop: Callable[[], bool]) -> OpenAudit:
    """Connect, agree on digests and open the journal. Whatever was opened is closed again on error."""
    servers = open_endpoints(plan.leader, plan.followers, plan.limits)
    at_once = plan.tables_at_once or max(1, plan.limits.connections // 2)
    pool = Pool(workers=max(4, at_once * (2 * len(plan.followers) + 1)))
    clock = SystemClock()
    marks: Watermarks | None = None
    streamed: Streamed | None = None
    run_id = run or uuid.uuid4().hex[:12]
    try:
        settling = pool.beside(partial(servers.settle, pool.gather))  # while the servers answer, the rest is imported
        from connectors.journal.opening import open_journal
        from trueup.audit.runner import Audit
        from trueup.audit.tools import Tools
        from trueup.pausing import Pauses

        remarks = settling.result()
        if (marks := _watermarks(plan, servers)) is not None:
            remarks += marks.try_out()
        if plan.stream is not None:
            from trueup.bootstrap.streaming import open_streamed

            streamed = open_streamed(plan, servers, pool, run_id, watcher)
        lineup = _lineup(plan, servers, pool)
        naming = pool.beside(lineup.names)  # while the journal opens; what goes wrong is told when they are used
        journal = open_journal(plan.journal, plan.group, announce_drift=_announced(plan, lineup))
        naming.done(None)
    except BaseException:
        for one in (streamed, marks, servers, pool):
            if one is not None:
                one.close()
        raise
    placed = _placed(plan, servers.leader, marks)
    tools = Tools(
        group=plan.group,
        run_id=run_id,
        leader=servers.leader,
        journal=journal.runs,
        clock=clock,
        gather=pool.gather,
        beside=pool.beside,
        judge=_judging(placed, streamed, min(30.0, plan.settle.give_up_seconds)),
        watcher=watcher,
        scan=plan.scan,
        settle=plan.settle,
        drifts_shown=plan.drifts_shown,
        stop=stop,
        placed=placed,
        masking=lineup.masking,
        brakes=_braking(plan, servers, watcher, stop, Pauses(journal.pauses, clock).why, marks),
    )
    audit = Audit(tools, lineup, _invariants(plan.checked, servers, lineup.masking))
    audit.tables_at_once = at_once
    opened = OpenAudit(audit, servers, journal, pool, remarks, marks, streamed)
    if plan.told_by is not None and plan.followed is not None:
        from trueup.bootstrap.announcing import sent

        opened.tell = partial(sent, plan.followed, journal, clock)
    return opened


def _lineup(plan: Plan, servers: Endpoints, pool: Pool) -> Lineup:
    from trueup.audit.lineup import Lineup

    masking = open_masking(plan.request.masked, plan.journal, plan.group)
    return Lineup(servers.leader, servers.followers, plan.request, servers.agreed.__contains__, masking, pool.gather)


def _watermarks(plan: Plan, servers: Endpoints) -> Watermarks | None:
    if plan.watermark is None:
        return None
    from trueup.bootstrap.watermark import open_watermarks

    return open_watermarks(plan.watermark, plan.leader, servers.leader, servers.followers, plan.limits)


def _announced(plan: Plan, lineup: Lineup) -> Callable[[Drift, str], Event] | None:
    """What shapes the events of drift; None where nobody is told."""
    if plan.told_by is None:
        return None
    from reconciler.events import Announcer
    from trueup.bootstrap.announcing import announced_by

    return announced_by(Announcer(plan.told_by, plan.group, lineup.masking), lineup.known_key)


def _braking(
    plan: Plan,
    servers: Endpoints,
    watcher: Watcher,
    stop: Callable[[], bool],
    paused: Callable[[TableName], str | None],
    marks: Watermarks | None,
) -> Braking:
    from trueup.audit.brake import Braking

    beats, ticks = None, None
    if plan.followed is not None:
        from trueup.bootstrap.beating import open_beats

        beats = open_beats(plan.followed, servers.leader, servers.followers)
    if marks is not None or beats is not None:
        from trueup.bootstrap.watermark import ticks_of

        ticks = ticks_of(marks, beats)
    return Braking(
        plan.brakes,
        servers.leader,
        servers.followers,
        SystemClock(),
        watcher,
        stop=stop,
        paused=paused,
        pause_file=plan.pause_file,
        ticks=ticks or (lambda follower: None),
    )


def _placed(plan: Plan, leader: Replica, marks: Watermarks | None) -> Callable[[Replica], tuple[Placed, Placed]]:
    """Leader and follower as rules without a stream ask them."""

    def sides(follower: Replica) -> tuple[Placed, Placed]:
        ours, theirs = marks.placed(follower) if marks else (leader, follower)
        if theirs is follower and follower.name in fed:
            from verifier.fed import FedUnread

            return ours, FedUnread(follower)
        return ours, theirs

    fed = {one.name for one in plan.followed.followers if one.fed_by is not None} if plan.followed is not None else ()
    return sides


def _judging(
    placed: Callable[[Replica], tuple[Placed, Placed]], streamed: Streamed | None, patience: float
) -> Callable[[Replica, Comparison, list[Key]], Judging]:
    """By the change stream where there is one and it can judge, else by brackets. Of who is judged by a watermark the
    stream, which speaks in positions, says nothing but whether the leader's rows stood still, and that is a proof only
    of followers that show commits in order (`ordered`)."""

    def judge(follower: Replica, compared: Comparison, keys: list[Key]) -> Judging:
        from verifier.bracketing import BracketJudging  # equal tables are never judged
        from verifier.watermark import WatermarkedFollower

        ours, theirs = placed(follower)
        told = None
        if streamed is not None and (theirs is follower or follower.name in streamed.fed):
            told = streamed.judging(follower, compared, keys)
        by_ticks = isinstance(theirs, WatermarkedFollower) and theirs.ordered
        witness = streamed.witness(compared) if streamed is not None and by_ticks else None
        return told or BracketJudging(ours, theirs, compared, keys, give_up_seconds=patience, witness=witness)

    return judge


def _invariants(group: Group | None, servers: Endpoints, masking: Masking) -> Callable[[], list[Json]]:
    """Checks the group's invariants once, with their grace."""
    if group is None or not group.invariants:
        return list
    from trueup.bootstrap.invariants import checkers

    return lambda: [finding_entry(checker.settled()) for checker in checkers(group, servers, masking).values()]
