"""The service that looks into the causes of drift, for a group whose stream is followed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from trueup.bootstrap.stream import Described
from trueup.services.cause import Applier, CauseService, Recollection
from trueup.services.ownlog import Heard, Overheard, OwnLog
from verifier.errors import Permanent, Temporary
from verifier.fed import FedFollower
from verifier.look import Role
from verifier.replay import Applying

if TYPE_CHECKING:
    from collections.abc import Mapping

    from config.replica import Follower
    from trueup.bootstrap.group import GroupRuntime
    from trueup.services.rogue import RogueService
    from verifier.ports import Replica


_SET_ROWS = ("mysql", "mariadb")
"""Their replicas set columns to the values that they are sent, whole rows or changed columns alone, and never add. So
does a sink."""


def open_causes(runtime: GroupRuntime) -> CauseService | None:
    """Wired to the stream, nothing asked for yet but the followers' roles. None without a stream: no history."""
    if runtime.follow is None:
        return None
    recollection = Recollection()
    runtime.follow.watchers = (*runtime.follow.watchers, recollection)
    causes = CauseService(runtime.world, runtime.journal.drifts, recollection, appliers(runtime.world.followers))
    for rogue in runtime.rogue:
        rogue.found = (*rogue.found, causes.wrote)
        if runtime.world.followers[rogue.follower].dialect == "postgresql":
            causes.logs[rogue.follower] = _overheard(runtime, rogue)
    for follower in runtime.settings.followers:
        log = _binlog(runtime, follower)
        if log is not None:
            causes.logs[follower.name] = log
    return causes


def _binlog(runtime: GroupRuntime, follower: Follower) -> OwnLog | None:
    """What a replica of MariaDB or MySQL logs of what it applies, read when somebody wants to know."""
    leader, replica = runtime.world.leader, runtime.world.followers[follower.name]
    if leader.dialect not in _SET_ROWS or replica.dialect != leader.dialect:
        return None
    try:
        from connectors.binlog.ownlog import OwnBinlog
        from connectors.mysql.replica import MysqlReplica
    except ImportError:
        return None  # the library is an extra, and not needed for anything else here

    if not isinstance(replica, MysqlReplica):
        return None
    name = f"{runtime.world.name} {follower.name} causes"
    log = OwnBinlog(replica, follower.address(), Described(runtime.world.book).table, name)
    runtime.ends.append(log.close)
    return log


def _overheard(runtime: GroupRuntime, rogue: RogueService) -> OwnLog:
    """Beside what somebody else wrote, a subscriber's stream tells what it applied."""
    from connectors.pgoutput.stream import PgoutputStream
    from connectors.postgres.written import log_end

    log = Heard(partial(log_end, runtime.world.followers[rogue.follower]))
    if isinstance(rogue.stream, PgoutputStream):
        overheard = Overheard(rogue.stream, log, runtime.world.clock.now)
        rogue.stream.overhear(overheard.overheard)
        rogue.stream = overheard
    return log


def appliers(followers: Mapping[str, Replica]) -> dict[str, Applier]:
    """Of those that tell how they apply. One that does not answer now may apply in any way."""
    found: dict[str, Applier] = {}
    for name, replica in followers.items():
        if replica.dialect in _SET_ROWS or isinstance(replica, FedFollower):
            found[name] = Applier(frozenset(Applying) - {Applying.ADDING})
        if replica.dialect != "postgresql" or isinstance(replica, FedFollower):
            continue
        try:
            if replica.identity().role is Role.SUBSCRIBER:
                found[name] = _subscriber(replica)
        except (Temporary, Permanent):
            continue
    return found


def _subscriber(replica: Replica) -> Applier:
    """PostgreSQL's own apply worker sets whole rows, skips what it does not find, and stops at what is there already.
    Others who write to a PostgreSQL server tell no position, and may apply changes in any way."""
    from connectors.postgres.written import writer

    try:
        replica.position()
    except Permanent:
        return Applier(writer=writer)
    return Applier(frozenset({Applying.STRICT}), writer)
