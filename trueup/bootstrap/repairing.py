"""Repairs by hand: the same planner, writer and rules as the daemon's, driven by a command."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from config.settings import Group, Settings
from connectors.journal.opening import Journal, open_journal
from connectors.postgres.apply import PostgresRepairSink
from connectors.postgres.replica import PostgresReplica
from reconciler.applying import Step, Taken
from reconciler.events import Announcer
from reconciler.policy import Mode
from reconciler.ports import Outlined, RepairRecord
from reconciler.repair import State
from reconciler.repairing import Plans, decide
from trueup.bootstrap import lease
from trueup.bootstrap.announcing import announced_by, heard, sent
from trueup.bootstrap.group import book_of, repair_policy
from trueup.bootstrap.groups import chosen
from trueup.bootstrap.lateness import late_by_hand
from trueup.bootstrap.masking import open_masking
from trueup.bootstrap.watching import Watched, open_watched, settled
from trueup.clock import SystemClock
from trueup.pool import Pool
from trueup.services.group import GroupWorld
from trueup.services.repair import RepairService
from trueup.services.verify import Verified, VerifyService
from verifier.errors import Misconfigured, Permanent, Temporary
from verifier.look import Role
from verifier.policy import SettlePolicy

_LOOK_SECONDS = 30.0
_APPLY = "apply"
_APPLY_SECONDS = 600.0
_PAGE = 500
_NOT_WRITTEN = "trueup writes to logical subscribers of PostgreSQL alone; the repair's event tells what to write"


@dataclass(slots=True)
class Repairing:
    """An open group, ready to plan and write."""

    settings: Settings
    group: Group
    servers: Watched
    journal: Journal
    pool: Pool
    world: GroupWorld
    announcer: Announcer
    _services: dict[str, RepairService] = field(default_factory=dict)
    note: Callable[[str], None] = lambda text: None
    """Takes what a person who waits has to know."""

    def followers(self, only: str | None) -> list[str]:
        """All followers, or the one that was named. Misconfigured if there is no such follower."""
        if only is None:
            return list(self.servers.followers)
        if only not in self.servers.followers:
            raise Misconfigured(f"no follower {only!r}; there are {', '.join(self.servers.followers)}")
        return [only]

    def plan(self, follower: str, *, actor: str) -> Iterator[Plans]:
        """Plans for all drift of the follower that is open now, page by page; what is found meanwhile is left."""
        service = self._service(follower)
        service.forget_settled(time.time(), actor=actor)
        while (planned := service.plan(time.time(), actor=actor)) is not None:
            yield planned
            if not service.planning:
                return

    def decide(self, state: State, ids: Sequence[str] | None, *, actor: str, note: str, now: float) -> tuple[int, int]:
        """Approve or reject these (None: all that are planned, however many); returns how many were not so before, and
        how many of all were left because their table cannot be compared now. Of those that are named Misconfigured, and
        nothing is decided, if one is unknown or its follower is not configured; Permanent if it cannot be compared."""
        if ids is None:
            return self._decide_all(state, actor, note, now)
        found = [self._record(one).outlined for one in ids]
        books = {follower: self._service(follower).casebook() for follower in {one.repair.follower for one in found}}
        decided = [decide(books[one.repair.follower], [one], state, actor=actor, now=now, note=note) for one in found]
        return sum(map(len, decided)), 0

    def _decide_all(self, state: State, actor: str, note: str, now: float) -> tuple[int, int]:
        decided = left = 0
        for follower in self.servers.followers:
            book = self._service(follower).casebook()
            after: str | None = None
            while page := self.journal.repairs.listed(State.PLANNED, follower=follower, after=after, limit=_PAGE):
                possible = [one for one in page if book.compared(one.repair.table) is not None]
                decided += len(decide(book, possible, state, actor=actor, now=now, note=note))
                left += len(page) - len(possible)
                after = page[-1].repair.id
        return decided, left

    def daemon(self) -> str | None:
        """The daemon that applies what is approved, for people; None if none runs, or if it only proposes."""
        writes = repair_policy(self.group).mode in (Mode.APPROVE, Mode.APPLY)
        return lease.holder(self.journal, time.time()) if writes else None

    def watch(self, followers: Sequence[str]) -> list[Outlined]:
        """Wait while the daemon applies what is approved, and return what became of it, or where it stands."""
        under_way = (State.APPROVED, State.APPLYING, State.APPLIED)
        waiting = [one for name in followers for one in self.journal.repairs.listed(*under_way, follower=name)]
        until = time.time() + _LOOK_SECONDS
        while True:
            known = (self.journal.repairs.find(one.repair.id) for one in waiting)
            found = [record.outlined for record in known if record is not None]
            if not any(record.state in under_way for record in found) or time.time() >= until:
                return found
            time.sleep(0.1)

    @contextmanager
    def writing(self, actor: str) -> Iterator[None]:
        """Inside it nobody else applies by hand: two who resolve the same interrupted repair would undo each other's
        notes. Permanent, naming the other."""
        now = time.time()
        token = self.journal.leases.acquire(_APPLY, lease.owner(actor), _APPLY_SECONDS, now)
        other = None if token is not None else self.journal.leases.holder(_APPLY, now)
        if token is None and other is not None and lease.alive(other.owner) is False:
            self.journal.leases.release(_APPLY, other.token)
            token = self.journal.leases.acquire(_APPLY, lease.owner(actor), _APPLY_SECONDS, now)
        if token is None:
            who = lease.shown(other.owner) if other is not None else "somebody else"
            raise Permanent(f"{who} applies repairs of group {self.group.name!r} right now; try again when that ended")
        self.journal.fence(_APPLY, token)
        try:
            yield
        finally:
            self.journal.leases.release(_APPLY, token)

    def apply(self, follower: str, *, dry_run: bool, actor: str) -> list[Taken]:
        """What is approved, within the policy's budgets. A person applies: modes below `approve` do not forbid it. All
        of it is held while the follower lags by more than `lag.max`, as it is by the daemon."""
        service = self._service(follower)
        policy = repair_policy(self.group, dry_run=dry_run)
        if policy.mode is Mode.OFF:
            raise Misconfigured(f"group {self.group.name!r}: repair.mode is off; nothing is ever written")
        if not service.writable():
            return [Taken(one.repair, Step.HELD, _NOT_WRITTEN) for one in self._open(follower, State.APPROVED)]
        if not dry_run and (waiting := self._open(follower, State.APPROVED, State.APPLYING)):
            why = self._late(follower)
            if why:
                return [Taken(one.repair, Step.HELD, why) for one in waiting]
        return service.apply(time.time(), policy=replace(policy, mode=Mode.APPROVE), actor=actor)

    def _open(self, follower: str, *states: State) -> Sequence[Outlined]:
        return self.journal.repairs.listed(*states, follower=follower, limit=_PAGE)

    def _late(self, follower: str) -> str:
        def told() -> float | None:
            from trueup.bootstrap.telling import daemon_tells

            daemon = daemon_tells(self.settings, self.group.name)
            known = None if daemon is None else daemon.followers.get(follower)
            return None if known is None else known.seconds

        world = self.world
        return late_by_hand(world.leader, world.followers[follower], self.group.lag.max, world.clock, told, self.note)

    def undo(self, ids: Sequence[str], *, dry_run: bool, actor: str, note: str) -> list[Taken]:
        """Bring the rows of these verified repairs back to what they were, or say why not. Misconfigured as `decide`,
        and where nothing is ever written; Permanent where nothing can be. What fails behind one that was undone is told
        beside it and not raised."""
        if repair_policy(self.group).mode is Mode.OFF:
            raise Misconfigured(f"group {self.group.name!r}: repair.mode is off; nothing is ever written")
        found = [self._record(one).outlined for one in dict.fromkeys(ids)]
        taken: list[Taken] = []
        for one in found:
            try:
                service, record = self._service(one.repair.follower), self._record(one.repair.id)
                told = service.undo(record, dry_run=dry_run, actor=actor, note=note)
                taken.append(replace(told, repair=one.repair))
            except (Temporary, Permanent) as problem:
                if not any(past.step in (Step.APPLIED, Step.FOUND_APPLIED) for past in taken):
                    raise
                taken.append(Taken(one.repair, Step.FAILED, str(problem)))
        return taken

    def look_again(self, follower: str, taken: Sequence[Taken]) -> dict[str, str]:
        """Have the repaired rows judged, and return each repair's state afterwards: `applied` if nobody could tell in
        time, a server that is away included."""
        written = [one.repair for one in taken if one.step in (Step.APPLIED, Step.FOUND_APPLIED)]
        service = self._service(follower)
        verify = VerifyService(self.world, follower, self.journal.stream, SettlePolicy(give_up_seconds=_LOOK_SECONDS))
        verify.settled = lambda one: _judged(service, one)
        until = time.time() + _LOOK_SECONDS
        waiting = {one.id for one in written}
        while waiting and time.time() < until:
            with suppress(Temporary):
                verify.tick(time.time())
            time.sleep(0.05)
            waiting = {one for one in waiting if self._state(one) == "applied"}
        return {one.id: self._state(one.id) for one in written}

    def close(self) -> None:
        for service in self._services.values():
            service.close()
        self.servers.close()
        self.journal.close()
        self.pool.close()

    def _state(self, repair: str) -> str:
        record = self.journal.repairs.find(repair)
        return "unknown" if record is None else record.state.value

    def _record(self, repair: str) -> RepairRecord:
        found = self.journal.repairs.find(repair)
        if found is None:
            raise Misconfigured(f"no repair {repair!r} (see: trueup repairs)")
        if found.repair.follower not in self.servers.followers:
            raise Misconfigured(f"repair {repair} is for {found.repair.follower!r}, which is no follower any more")
        return found

    def _service(self, follower: str) -> RepairService:
        known = self._services.get(follower)
        if known is not None:
            return known
        sink = None
        replica = self.servers.followers[follower]
        if isinstance(replica, PostgresReplica) and replica.identity().role is Role.SUBSCRIBER:
            address = next(one for one in self.group.followers if one.name == follower).repair_address()
            triggers = repair_policy(self.group).fire_triggers
            system = self.servers.leader.identity().system
            sink = PostgresRepairSink(address, leader_system=system, fire_triggers=triggers)
        service = RepairService(
            self.world,
            follower,
            self.journal.drifts,
            self.journal.repairs,
            self.journal.stream,
            self.announcer,
            repair_policy(self.group),
            sink,
            sink.references() if sink is not None else {},
        )
        self._services[follower] = service
        return service


def _judged(service: RepairService, verified: Verified) -> None:
    service.judged(verified.table, verified.since, verified.equal, verified.drifts)


@contextmanager
def open_repairing(config: Path | None, group: str | None, note: Callable[[str], None]) -> Iterator[Repairing]:
    """Open the group for the block; after it what happened is told, and `note` takes what keeps it from that.
    Misconfigured, Unreachable, Forbidden as for any command."""
    settings, wanted = chosen(config, group)
    servers = open_watched(wanted)
    pool = Pool(4)
    try:
        settled(wanted, servers)
        book = book_of(wanted, servers)
        book.masking = open_masking(wanted.tables.mask_columns, settings.journal.address(), wanted.name)
        announcer = Announcer(settings.instance, wanted.name, book.masking)
        journal = open_journal(
            settings.journal.address(), wanted.name, announce_drift=announced_by(announcer, book.cached_key)
        )
        heard(wanted, journal, SystemClock())
    except BaseException:
        servers.close()
        pool.close()
        raise
    world = GroupWorld(wanted.name, servers.leader, servers.followers, book, SystemClock(), pool.gather, None)
    repairing = Repairing(settings, wanted, servers, journal, pool, world, announcer, note=note)
    try:
        yield repairing
        sent(wanted, journal, SystemClock(), note)
    finally:
        repairing.close()
