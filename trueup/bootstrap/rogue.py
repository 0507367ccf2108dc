"""Followers' own change streams, as the configuration names them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from config.replica import Follower
from config.settings import Group
from config.stream import BinlogStream as BinlogSettings
from config.stream import PgoutputStream as PgoutputSettings
from connectors.journal.opening import Journal
from trueup.bootstrap.stream import Described
from trueup.services.group import GroupWorld, TableBook
from trueup.services.rogue import RogueService
from verifier.change import Blindness, Transaction
from verifier.errors import Misconfigured
from verifier.ports import ChangeStream, Replica
from verifier.table import TableName
from verifier.view import Seen

_BINLOG = ("mysql", "mariadb")


def open_rogues(group: Group, world: GroupWorld, journal: Journal) -> Iterator[RogueService]:
    """The services of those followers that have one; nothing is connected yet. Misconfigured if a follower is of an
    engine that has no such log."""
    lost = losing(world, journal)
    for follower in group.followers:
        if follower.stream is None:
            continue
        replica = world.followers[follower.name]
        require_kind(follower, replica)
        if follower.stream.kind == "binlog":
            described = Described(world.book)
            stream, shown = binlog_rogues(group.name, follower, world.leader, replica, described)
            service = RogueService(world, follower.name, stream, journal.marks, shown, described.strangers, lost=lost)
        else:
            stream = open_rogue_stream(follower, world.book)
            service = RogueService(world, follower.name, stream, journal.marks, _by_snapshot(replica), lost=lost)
        yield service


def losing(world: GroupWorld, journal: Journal) -> Callable[[str, Blindness], None]:
    """Whom to tell which tables a follower's own log lost sight of: they are unverified there, and scanned before all
    others."""

    def lost(follower: str, blindness: Blindness) -> None:
        journal.stream.lose(follower, [blindness], at=world.clock.now())
        world.refresh(journal.stream)

    return lost


def require_kind(follower: Follower, replica: Replica) -> None:
    """Misconfigured if the follower's engine has no stream of the kind that is configured."""
    kind = "pgoutput" if follower.stream is None else follower.stream.kind
    fit = replica.dialect in _BINLOG if kind == "binlog" else replica.dialect == "postgresql"
    if not fit:
        cure = "binlog" if replica.dialect in _BINLOG else "pgoutput"
        what = f"set kind: {cure}" if replica.dialect in (*_BINLOG, "postgresql") else "remove it"
        raise Misconfigured(f"{follower.name} is {replica.dialect}, and its own stream's kind is {kind}: {what}")


def open_rogue_stream(follower: Follower, book: TableBook) -> ChangeStream:
    """What a subscriber's own log tells that did not come by the subscription which carries the leader."""
    from connectors.pgoutput.stream import PgoutputStream

    def key_of(table: TableName) -> tuple[str, ...] | None:
        known = book.known_table(table)
        return known.key if known is not None and known.key else None

    settings = (follower.stream.pgoutput if follower.stream is not None else None) or PgoutputSettings()
    return PgoutputStream(
        follower.address(),
        slot=settings.slot,
        publication=settings.publication,
        key_of=key_of,
        create=settings.create,
        temporary=settings.temporary,
        name=follower.name,
        beside=(follower.subscription,) if follower.subscription else (),
    )


def binlog_rogues(
    group: str, follower: Follower, leader: Replica, replica: Replica, described: Described
) -> tuple[ChangeStream, Callable[[Sequence[Transaction]], bool]]:
    """What a replica's own binlog tells that did not come from the leader, and whether reads show it. Misconfigured if
    the leader has none, or the library is not installed."""
    try:
        from connectors.binlog.origins import Origins, shown
        from connectors.binlog.stream import BinlogStream
        from connectors.mysql.replica import MysqlReplica
    except ImportError as error:
        raise Misconfigured(f"reading a binlog needs one more library ({error}): install trueup[binlog]") from error

    if not isinstance(leader, MysqlReplica) or not isinstance(replica, MysqlReplica):
        raise Misconfigured(
            f"{follower.name}: what its binlog has can be told from the leader's only on its own engine"
        )
    settings = (follower.stream.binlog if follower.stream is not None else None) or BinlogSettings()
    stream = BinlogStream(
        follower.address(),
        table_of=described.table,
        server_id=settings.server_id,
        name=f"{group} {follower.name}",
        origin_of=Origins(leader, replica),
    )
    return stream, lambda transactions: shown(replica, [one.commit for one in transactions])


def _by_snapshot(replica: Replica) -> Callable[[Sequence[Transaction]], bool]:
    def shown(transactions: Sequence[Transaction]) -> bool:
        view = replica.ask("select 1", rows_max=1, seconds_max=5.0).view
        return all(view.saw(one.xid) is Seen.YES for one in transactions)

    return shown
