"""The examination behind `trueup doctor`: every part of a group, each by whoever knows it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from config.settings import Group, Settings
from connectors.journal.opening import open_journal
from connectors.postgres import checkup
from connectors.postgres.expressions import RowForm
from connectors.remark import Remark
from trueup.bootstrap.doctoring_abroad import abroad, stream_of
from trueup.bootstrap.doctoring_fed import fed
from trueup.bootstrap.doctoring_watermark import watermark
from trueup.bootstrap.fed import fed_names
from trueup.bootstrap.servers import Servers, open_group_servers, patterns_of
from verifier.errors import Permanent, Temporary
from verifier.look import Role
from verifier.table import TableName


def examine(settings: Settings, group: Group) -> Iterator[tuple[str, Remark]]:
    """Remarks with the part that they are about, in reading order. Raises nothing for what is wrong: it says so."""
    yield "journal", _journal(settings, group)
    urls = (group.leader.address(), *(one.address() for one in group.followers))
    engines = {urlsplit(url).scheme.partition("+")[0] for url in urls}
    if not engines <= {"postgresql", "postgres"}:
        yield from abroad(group)
        return
    servers = open_group_servers(group, agree=False)
    try:
        yield from _servers(group, servers)
    finally:
        servers.close()


def _journal(settings: Settings, group: Group) -> Remark:
    try:
        open_journal(settings.journal.address(), group.name).close()
    except (Temporary, Permanent) as problem:
        return Remark("error", str(problem))
    return Remark("ok", f"{settings.journal.url} can be written")


def _servers(group: Group, servers: Servers) -> Iterator[tuple[str, Remark]]:
    healthy = True
    for replica in (servers.leader, *servers.followers.values()):
        for remark in checkup.server(replica):
            healthy = healthy and remark.level != "error"
            yield replica.name, remark
    if not healthy:
        return
    names = servers.leader.tables(patterns_of(group))
    if not names:
        yield "tables", Remark("error", f"no table on the leader matches {', '.join(group.tables.patterns())}")
        return
    for replica in (servers.leader, *servers.followers.values()):
        for remark in checkup.tables(replica, names):
            yield f"tables on {replica.name}", remark
    yield from (("digests", remark) for remark in _digests(servers))
    yield from _stream(group, servers, names)
    yield from _evidence(group, servers)
    yield from fed(group)
    others = {name: one for name, one in servers.followers.items() if name not in fed_names(group)}
    yield from watermark(group, servers.leader, others)


def _digests(servers: Servers) -> Iterator[Remark]:
    try:
        reasons = servers.settle()
    except (Temporary, Permanent) as problem:
        yield Remark("error", str(problem))
        return
    assert servers.agreement is not None
    fast = servers.agreement.form is RowForm.RECORD
    yield Remark("ok" if fast else "note", f"native digests, {servers.agreement.form.value} form")
    for reason in reasons:
        yield Remark("note", reason)


def _stream(group: Group, servers: Servers, tables: Sequence[TableName]) -> Iterator[tuple[str, Remark]]:
    stream = group.stream
    if stream is None or stream.kind == "kafka":
        if stream is not None and stream.kafka is not None and stream.kafka.connect_url is None:
            slot, publication = stream.kafka.slot or "debezium", stream.kafka.publication or "dbz_publication"
            for remark in checkup.stream(servers.leader, slot, publication, tables, "trueup connector register"):
                yield "change stream", remark
        yield from stream_of(group)
        return
    slot = stream.pgoutput.slot if stream.pgoutput else "trueup"
    publication = stream.pgoutput.publication if stream.pgoutput else "trueup"
    yield from (("change stream", remark) for remark in checkup.reads_log(servers.leader))
    if stream.pgoutput is not None and stream.pgoutput.create:
        yield "change stream", Remark("ok", "slot and publication are created by the daemon where they are missing")
        return
    yield from (("change stream", remark) for remark in checkup.stream(servers.leader, slot, publication, tables))


def _evidence(group: Group, servers: Servers) -> Iterator[tuple[str, Remark]]:
    """Which rules can prove something on each follower."""
    for name, replica in servers.followers.items():
        role = replica.role()
        rules = ["snapshot", "bracketed"] + (["visibility"] if group.stream is not None else [])
        yield "evidence", Remark("ok", f"{name} ({role.value}): {', '.join(rules)}")
        if role is Role.STANDBY:
            yield "evidence", Remark("note", f"{name} cannot be repaired row by row: a physical standby is read-only")
