"""Followers' own change streams, as the configuration names them."""

from __future__ import annotations

from collections.abc import Iterator

from config.replica import Follower
from config.settings import Group
from config.stream import PgoutputStream as Settings
from connectors.journal.opening import Journal
from trueup.services.group import GroupWorld, TableBook
from trueup.services.rogue import RogueService
from verifier.change import Blindness
from verifier.ports import ChangeStream
from verifier.table import TableName


def open_rogues(group: Group, world: GroupWorld, journal: Journal) -> Iterator[RogueService]:
    """The services of those followers that have one; nothing is connected yet."""

    def lost(follower: str, blindness: Blindness) -> None:
        journal.stream.forget(follower, [], blindness, at=world.clock.now())

    for follower in group.followers:
        if follower.stream is not None:
            stream = open_rogue_stream(follower, world.book)
            yield RogueService(world, follower.name, stream, journal.marks, lost=lost)


def open_rogue_stream(follower: Follower, book: TableBook) -> ChangeStream:
    """What a subscriber's own log tells that did not come by the subscription which carries the leader."""
    from connectors.pgoutput.stream import PgoutputStream

    def key_of(table: TableName) -> tuple[str, ...] | None:
        known = book.known_table(table)
        return known.key if known is not None and known.key else None

    settings = (follower.stream.pgoutput if follower.stream is not None else None) or Settings()
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
