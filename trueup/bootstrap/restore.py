"""Make an opened audit a restore drill, and note down the position that one begins with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields

from trueup.audit.progress import Watcher
from trueup.audit.report import Json, iso
from trueup.audit.restore import DrillLineup, Restore
from trueup.bootstrap.auditing import OpenAudit
from trueup.bootstrap.engines import open_replica
from trueup.bootstrap.servers import Address
from trueup.clock import SystemClock
from verifier.errors import Permanent
from verifier.look import Look, Role
from verifier.policy import Limits
from verifier.ports import Answer, Replica
from verifier.recorded import Dated, Recorded, floor_of
from verifier.view import Mark, Snapshot

_QUIET_SECONDS = 2.0


def drill_of(opened: OpenAudit, recorded: Recorded, watcher: Watcher) -> Restore:
    """The audit's tables are walked as a drill, and its report says what is proven. Call `begin` before it runs."""
    audit, leader = opened.audit, opened.servers.leader
    dating = _DATED.get(leader.dialect)
    lineup = DrillLineup(*(getattr(audit.lineup, one.name) for one in fields(audit.lineup) if one.init))
    restore = Restore(lineup, recorded, None if dating is None else dating(leader), watcher)
    audit.lineup = lineup
    audit.walker = restore.walk
    audit.closing = restore.close
    return restore


def position_of(url: str) -> Json:
    """What to note down when a backup of this leader begins. Unreachable, Forbidden, Permanent as any read."""
    leader = open_replica(Address("leader", url), Role.LEADER, Limits())
    try:
        identity = leader.identity()
        mark, look = _quiet(leader)
        recorded = Recorded(
            identity.system,
            identity.timeline,
            leader.position(),
            mark,
            floor_of(look.view),
            look.view.ended_below(mark),
        )
        if not recorded.lasting:
            raise Permanent(
                f"{identity.engine} keeps no log, so no position of it means anything later; compare a backup with its "
                "leader while nobody writes (trueup audit --cutover)"
            )
        snapshot = look.view
        return {
            "version": 1,
            "engine": identity.engine,
            "server_version": identity.version,
            "system": identity.system,
            "timeline": identity.timeline,
            "time": iso(SystemClock().now()),
            "position": recorded.position.text(),
            "snapshot": _text(snapshot) if isinstance(snapshot, Snapshot) else None,
            "mark": mark if isinstance(mark, int) else mark.text(),
            "restored_at": recorded.text(),
        }
    finally:
        leader.close()


def _quiet(leader: Replica) -> tuple[Mark, Look[Answer]]:
    """The leader's mark and a look behind it, if possible when nothing runs: only then is a leader that has not moved
    since the same as it was."""
    clock = SystemClock()
    until = clock.now() + _QUIET_SECONDS
    while True:
        mark = leader.mark()
        look = leader.ask("select 1", rows_max=1, seconds_max=10.0)
        if look.view.ended_below(mark) or clock.now() >= until:
            return mark, look
        clock.sleep(0.05)


def _text(snapshot: Snapshot) -> str:
    return f"{snapshot.xmin}:{snapshot.xmax}:{','.join(map(str, sorted(snapshot.running)))}"


def _postgres(replica: Replica) -> Dated:
    from connectors.postgres.dated import PostgresDated
    from connectors.postgres.replica import PostgresReplica

    assert isinstance(replica, PostgresReplica)
    return PostgresDated(replica)


_DATED: Mapping[str, Callable[[Replica], Dated]] = {"postgresql": _postgres}
