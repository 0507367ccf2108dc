"""Note down where the change streams stand when an audit begins, and make an opened audit one since an earlier run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING

from trueup.audit.progress import Watcher
from trueup.audit.request import continues
from trueup.audit.since import Since, Source
from trueup.bootstrap.auditing import OpenAudit
from trueup.clock import SystemClock
from verifier.errors import Misconfigured, Permanent, Temporary
from verifier.journal import Run
from verifier.look import Role
from verifier.marks import LEADER
from verifier.ports import Identity, Replica

if TYPE_CHECKING:
    from config.settings import Group
    from config.stream import KafkaStream
    from verifier.table import TableName


_ANEW = (
    "it was altered, rewritten, or left the publication since then, or the connector has connected anew, and may have "
    "been told otherwise meanwhile"
)


def note_baseline(opened: OpenAudit, group: Group | None, run: Run, watcher: Watcher) -> None:
    """Before the run's first look. It is no error if this cannot be told: a later audit then looks at everything."""
    told: dict[str, Mapping[TableName, str]] = {}
    for name, source in _sources(opened, group).items():
        try:
            told[name] = source.told()
        except (Temporary, Permanent) as problem:
            whose = "everything" if name == LEADER else f"all of {name}"
            watcher.note(f"note: a later --since {run.id} will look at {whose}: {problem}")
    try:
        opened.journal.marks.note(run.id, told)
    except (Temporary, Permanent) as problem:
        watcher.note(f"note: a later --since {run.id} will look at everything: {problem}")


def since_of(opened: OpenAudit, group: Group | None, run_id: str) -> Since:
    """The audit looks at what was touched since that run. Misconfigured if the run cannot be gone on from; call before
    the audit begins."""
    run = opened.journal.runs.find(run_id)
    if run is None:
        raise Misconfigured(f"no run {run_id!r} in this journal (see: trueup runs)")
    audit, servers = opened.audit, opened.servers
    sources = _sources(opened, group)
    asking: list[Callable[[], Identity | None]] = [servers.leader.identity]
    asking += [partial(_identity, replica) for replica in servers.followers.values()]
    leader, *others = opened.pool.gather(asking)
    assert leader is not None
    identities = dict(zip(servers.followers, others, strict=True))
    fingerprint = audit.request.fingerprint(leader, identities)
    followed = {name: _followed(identity, name, sources) for name, identity in identities.items()}
    since = Since(run, opened.journal.marks, sources, followed, SystemClock(), opened.pool.gather)
    since.begin(lambda settings: continues(settings, fingerprint))
    audit.walker = since.walk
    audit.closing = since.close
    return since


def _identity(replica: Replica) -> Identity | None:
    try:
        return replica.identity()
    except (Temporary, Permanent):
        return None  # the audit will say so itself


def _followed(identity: Identity | None, name: str, sources: Mapping[str, Source]) -> tuple[str, ...] | str:
    if identity is None:
        return f"{name} did not answer when the audit began"
    if LEADER not in sources:
        return (
            "the leader's change stream is not followed in a way that proves that nothing was left out (stream.kind: "
            "pgoutput, binlog, or kafka with a leader of PostgreSQL)"
        )
    if identity.role is Role.STANDBY:
        return (LEADER,)
    if name in sources:
        return LEADER, name
    return f"{name} can be written to, and its own change stream is not followed (followers[].stream)"


def _sources(opened: OpenAudit, group: Group | None) -> Mapping[str, Source]:
    """The streams that the configuration has a daemon follow. Each is asked once how its tables are told: whatever
    changed after that is another text than what a later audit is told."""
    if opened.sources is None:
        found = {} if group is None else _followed_by_a_daemon(opened, group)
        opened.sources = {name: replace(source, told=cache(source.told)) for name, source in found.items()}
    return opened.sources


def _followed_by_a_daemon(opened: OpenAudit, group: Group) -> dict[str, Source]:
    found: dict[str, Source] = {}
    servers = opened.servers
    if group.stream is not None:
        own = None if group.stream.pgoutput is None else group.stream.pgoutput.publication
        source = _source(group.stream.kind, servers.leader, own, follower=False)
        if source is None and group.stream.kafka is not None and servers.leader.dialect == "postgresql":
            source = _kafka(servers.leader, group.stream.kafka, group.stream.kafka.connector or group.name)
        if source is not None:
            found[LEADER] = source
    for one in group.followers:
        replica = servers.followers.get(one.name)
        if one.stream is not None and replica is not None:
            own = None if one.stream.pgoutput is None else one.stream.pgoutput.publication
            source = _source(one.stream.kind, replica, own, follower=True)
            if source is not None:
                found[one.name] = source
    return found


def _source(kind: str, replica: Replica, publication: str | None, *, follower: bool) -> Source | None:
    """None if this server has no such log, or it is read in another way."""
    if kind == "pgoutput" and replica.dialect == "postgresql":
        return _pgoutput(replica, publication or "trueup", follower=follower)
    if kind == "binlog" and replica.dialect in ("mysql", "mariadb"):
        return _binlog(replica, follower=follower)
    return None


def _pgoutput(replica: Replica, publication: str, *, follower: bool) -> Source:
    from connectors.postgres.replica import PostgresReplica
    from connectors.postgres.told import standing, written

    assert isinstance(replica, PostgresReplica)
    end = partial(written, replica) if follower else replica.position
    return Source(lambda: (end(),), partial(standing, replica, publication))


def _kafka(replica: Replica, settings: KafkaStream, connector: str) -> Source:
    """A connector that was told otherwise, or made anew, or whose slot was, reads by another connection: while it is
    the same one, it has told every change of what its lists let through."""
    from connectors.debezium.capture import captured
    from connectors.debezium.connect import Connect
    from connectors.postgres.replica import PostgresReplica
    from connectors.postgres.told import reader, standing

    assert isinstance(replica, PostgresReplica)

    def told() -> Mapping[TableName, str]:
        if settings.connect_url is None:
            raise Permanent("what the connector leaves out is not known: set stream.kafka.connect_url")
        before = reader(replica, settings.slot or "debezium")
        config = Connect(settings.connect_url).config(connector)
        tables = standing(replica, settings.publication or "dbz_publication")
        if config.get("topic.prefix") != settings.topic_prefix:
            raise Permanent(f"connector {connector} writes to topics of another prefix than stream.kafka.topic_prefix")
        through = captured(config, tables)
        return {table: f"{before}/{text}" for table, text in tables.items() if table in through}

    return Source(lambda: (replica.position(),), told, _ANEW)


def _binlog(replica: Replica, *, follower: bool) -> Source:
    from connectors.binlog.standing import standing, written
    from connectors.mysql.replica import MysqlReplica

    assert isinstance(replica, MysqlReplica)
    return Source(partial(written, replica), partial(standing, replica, follower=follower))


__all__ = ["note_baseline", "since_of"]
