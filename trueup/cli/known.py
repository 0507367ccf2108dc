"""`trueup repairs`: what the journal knows of them. No database is asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trueup import exits
from trueup.audit.progress import moment
from trueup.cli import options
from trueup.cli.listing import Counted, stream_json, stream_table
from trueup.cli.output import Listing, say, target
from verifier.errors import Misconfigured

if TYPE_CHECKING:
    from reconciler.ports import RepairJournal
    from reconciler.repair import State

_PAGE = 500


def register(app: typer.Typer) -> None:
    app.command(help="Repairs and their states.")(repairs)


def repairs(
    config: options.Config = None,
    group: options.Group = None,
    journal: options.Journal = None,
    how: options.How = Listing.TABLE,
    state: Annotated[list[str] | None, typer.Option(help="Only in this state; repeatable.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most this many.")] = 1000,
    after: Annotated[str | None, typer.Option(help="Go on behind this repair, the last of the page before.")] = None,
) -> int:
    """Repairs, oldest first. Memory does not grow with their number."""
    from reconciler.repair import State
    from trueup.bootstrap.journal import opened

    try:
        states = [State(one) for one in state or ()]
    except ValueError:
        raise typer.BadParameter(f"--state must be one of {', '.join(one.value for one in State)}") from None
    with opened(config, group, journal) as book:
        if after is not None and book.repairs.find(after) is None:
            raise Misconfigured(f"no repair {after!r} to go on behind; --after takes the whole id")
        counted = book.repairs.counts()
        total = sum(counted[one] for one in counted if not states or one in states)
        broken = book.repairs.audit_broken_at()
        pages = Counted(_entries(book.repairs, states, after, limit))
        with target(None) as out:
            if how is Listing.JSON:
                stream_json(
                    {"version": 1, "total": total, "audit_broken_at": broken}, "repairs", pages,
                    lambda: {"next": pages.last if pages.count == limit else None}, out,
                )  # fmt: skip
            else:
                stream_table(({**one, "changed_at": moment(one["changed_at"])} for one in pages), "no repairs", out)
    if how is Listing.TABLE and pages.count == limit < total:
        say(f"{pages.count:,} of {total:,} shown; go on with --after {pages.last}, or give a larger --limit")
    if broken is not None:
        say(f"the audit chain does not hold from line {broken} on: somebody changed it")
        return exits.UNVERIFIED
    return exits.EQUAL


def _entries(
    journal: RepairJournal, states: Sequence[State], after: str | None, limit: int
) -> Iterator[dict[str, Any]]:
    from trueup.audit.report import iso

    while limit and (page := journal.listed(*states, after=after, limit=min(limit, _PAGE))):
        for record in page:
            yield {
                "id": record.repair.id,
                "state": record.state.value,
                "follower": record.repair.follower,
                "table": str(record.repair.table),
                "key": ", ".join(map(str, record.repair.key)),
                "action": record.repair.action.value,
                "changed_at": iso(record.changed_at),
                "actor": record.actor,
                "note": record.note,
            }
        after, limit = page[-1].repair.id, limit - len(page)
