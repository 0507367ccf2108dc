"""The change stream of an audit (`--stream`): what it reads, and what it needs for that."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from trueup.audit.progress import Watcher
from trueup.audit.streamed import Streamed
from trueup.bootstrap.engines import Endpoints
from trueup.bootstrap.fed import with_fed
from trueup.bootstrap.stream import OpenStream, binlog_stream, open_stream, pgoutput_stream
from trueup.bootstrap.watching import told
from trueup.clock import SystemClock
from trueup.pool import Pool
from trueup.services.group import Sighted, TableBook
from trueup.services.published import Published
from verifier.errors import Misconfigured, Permanent, Temporary
from verifier.fed import FedFollower
from verifier.ports import Replica
from verifier.table import TableName
from verifier.window import TransactionWindow

if TYPE_CHECKING:
    from config.settings import Group
    from trueup.bootstrap.auditing import Plan

CHOICES = "pgoutput:PUBLICATION, binlog or config"


def open_streamed(plan: Plan, servers: Endpoints, pool: Pool, run_id: str, watcher: Watcher) -> Streamed:
    """Connected, and reading. Misconfigured if the plan asks for what there is not; Permanent, Forbidden if the leader
    does not allow it."""
    request, clock = plan.request, SystemClock()
    book = TableBook(
        servers.leader,
        servers.followers,
        request.patterns,
        clock,
        request.excluded,
        request.keys,
        tolerances=request.tolerances,
    )
    stream = _opened(plan, book, run_id)
    known: Mapping[str, Replica] = servers.followers
    if plan.stream == "config" and plan.followed is not None:
        known = with_fed(plan.followed, servers.leader, known, stream.index)
    followers = _following(known)
    sight = Sighted(TransactionWindow(), list(followers), Published(partial(_told, servers.leader, stream)))
    streamed = Streamed(
        stream.stream,
        sight,
        servers.leader,
        followers,
        clock,
        pool.gather,
        watcher,
        heard=stream.heard,
        give_up_seconds=min(30.0, plan.settle.give_up_seconds),
    )
    try:
        streamed.begin()
    except BaseException:
        streamed.close()
        raise
    return streamed


def _opened(plan: Plan, book: TableBook, run_id: str) -> OpenStream:
    from config.stream import BinlogStream, PgoutputStream

    kind, _, publication = (plan.stream or "").partition(":")
    if kind == "config":
        found = None if plan.followed is None else open_stream(_beside(plan.followed, run_id), plan.leader.url, book)
        if found is None:
            raise Misconfigured("--stream config needs a configuration whose group has a stream")
        return found
    if kind == "pgoutput" and publication:
        if book.leader.dialect != "postgresql":
            raise Misconfigured(f"--stream {plan.stream}: the leader is {book.leader.dialect}, not postgresql")
        settings = PgoutputStream(slot=_slot(run_id), publication=publication, temporary=True)
        return pgoutput_stream(settings, plan.leader.url, plan.leader.name, book)
    if kind == "binlog" and not publication:
        return binlog_stream(BinlogStream(), plan.leader.url, f"{plan.group} {plan.leader.name} {run_id}", book)
    raise Misconfigured(f"--stream {plan.stream}: need {CHOICES}")


def _beside(group: Group, run_id: str) -> Group:
    """The group's own stream, read beside the daemon's: a slot has room for one reader."""
    stream = group.stream
    if stream is None or stream.kind != "pgoutput":
        return group
    from config.stream import PgoutputStream

    own = (stream.pgoutput or PgoutputStream()).model_copy(
        update={"slot": _slot(run_id), "temporary": True, "create": False}
    )
    return group.model_copy(update={"stream": stream.model_copy(update={"pgoutput": own})})


def _slot(run_id: str) -> str:
    """Temporary: it goes with the connection."""
    return f"trueup_audit_{run_id}".lower()


def _following(followers: Mapping[str, Replica]) -> dict[str, Replica]:
    """Those that tell a position in the leader's log; who does not answer now is judged without the stream."""
    found: dict[str, Replica] = {}
    for name, follower in followers.items():
        try:
            if not isinstance(follower, FedFollower):  # which needs the stream, and that does not run yet
                follower.position()
        except (Temporary, Permanent):
            continue
        found[name] = follower
    return found


def _told(leader: Replica, stream: OpenStream) -> Mapping[TableName, str]:
    published = told(leader, stream.publication)
    captured = stream.captured(frozenset(published))
    return {table: made_of for table, made_of in published.items() if table in captured}
