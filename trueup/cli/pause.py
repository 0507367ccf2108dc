"""`trueup pause` and `trueup resume`: stop and go on looking, at once, for whoever shares the journal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trueup import exits
from trueup.cli import options
from trueup.cli.listing import listed
from trueup.cli.output import Listing, say, write

if TYPE_CHECKING:
    from connectors.journal.opening import Journal
    from verifier.journal import Pause
    from verifier.table import TableName

GroupWord = Annotated[str | None, typer.Argument(help="Group (default: the configuration's only one).")]
TableWord = Annotated[str | None, typer.Argument(help="Only this table, schema.table.")]


def register(app: typer.Typer) -> None:
    app.command(help="Stop looking at a group or at one of its tables, within a second.")(pause)
    app.command(help="Go on looking at a group and all its tables, or at one table.")(resume)


def pause(
    group: GroupWord = None,
    table: TableWord = None,
    config: options.Config = None,
    journal: options.Journal = None,
    how: options.How = Listing.TABLE,
) -> int:
    """The daemon and running audits stop to look. Changes are still followed, so that nothing is lost."""
    import time

    from trueup.audit.report import ran_by
    from trueup.pausing import said

    with _book(config, group, table, journal) as (book, name):
        fresh = book.pauses.pause(name, at=time.time(), actor=ran_by("")["user"])
        found = list(book.pauses.paused())
        if not fresh:
            say(f"already so: {said(next(one for one in found if one.table == name))}")
    return _told(found, how)


def resume(
    group: GroupWord = None,
    table: TableWord = None,
    config: options.Config = None,
    journal: options.Journal = None,
    how: options.How = Listing.TABLE,
) -> int:
    """What was paused is looked at again; a table that was paused is scanned, which makes up for what was missed."""
    with _book(config, group, table, journal) as (book, name):
        if not book.pauses.resume(name):
            say("nothing was paused" if name is None else f"{name} was not paused")
        found = list(book.pauses.paused())
    if found and found[0].table is None:
        say("the whole group is still paused: trueup resume without a table lifts that")
    return _told(found, how)


def entries(pauses: Sequence[Pause]) -> list[dict[str, Any]]:
    """Pauses for people and programs; `table` is null for the whole group."""
    from trueup.audit.report import iso

    return [
        {"table": None if one.table is None else str(one.table), "since": iso(one.since), "by": one.actor}
        for one in pauses
    ]


def _told(pauses: list[Pause], how: Listing) -> int:
    found = entries(pauses)
    shown = [{**one, "table": one["table"] or "all tables"} for one in found]
    write({"version": 1, "paused": found}, how, None, listed(shown, "nothing is paused"))
    return exits.EQUAL


@contextmanager
def _book(
    config: Path | None, group: str | None, table: str | None, journal: str | None
) -> Iterator[tuple[Journal, TableName | None]]:
    """The group's journal, made if there is none yet, so that one may pause before the first start; and the table. A
    word alone that has a dot names a table of the only group."""
    from connectors.journal.opening import open_journal
    from trueup.bootstrap.groups import chosen
    from trueup.bootstrap.journal import AUDIT_GROUP
    from verifier.table import TableName

    if table is None and group is not None and "." in group:
        group, table = None, group
    if journal is None:
        settings, wanted = chosen(config, group)
        target, name = settings.journal.address(), wanted.name
    else:
        target, name = journal, group or AUDIT_GROUP
    found = open_journal(target, name)
    try:
        yield found, None if table is None else TableName.parse(table)
    finally:
        found.close()
