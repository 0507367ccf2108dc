"""`trueup repairs`: what the journal knows of them. No database is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trueup import exits
from trueup.audit.progress import moment
from trueup.cli.listing import listed
from trueup.cli.output import Listing, say, write

ConfigOption = Annotated[Path | None, typer.Option("--config", help="Configuration file.")]
GroupOption = Annotated[str | None, typer.Option(help="Group of the configuration (default: its only one).")]
JournalOption = Annotated[str | None, typer.Option(help="Journal path or URL, instead of a configuration.")]
FormatOption = Annotated[Listing, typer.Option("--format", help="table or json.")]
LeaderOption = Annotated[str | None, typer.Option(help="Leader URL, instead of a configuration.")]
FollowerOption = Annotated[list[str] | None, typer.Option(help="Follower URL, or NAME=URL; repeatable.")]
ExcludeOption = Annotated[list[str] | None, typer.Option(help="schema.table.column to leave out; repeatable.")]
KeyOption = Annotated[list[str] | None, typer.Option(help="schema.table=col,col: key where there is none.")]
ColumnsOption = Annotated[list[str] | None, typer.Option(help="schema.table=col,col: only these columns.")]
WhereOption = Annotated[list[str] | None, typer.Option(help="SQL, or schema.table=SQL: only these rows.")]
MapTableOption = Annotated[list[str] | None, typer.Option(help="LEADER=FOLLOWER, 'public.*=archive.*'.")]
MapColumnOption = Annotated[list[str] | None, typer.Option(help="schema.table.col=FOLLOWERCOL.")]
LimitOption = Annotated[int, typer.Option(min=1, help="At most this many.")]


def register(app: typer.Typer) -> None:
    app.command(help="Repairs and their states.")(repairs)


def repairs(
    config: ConfigOption = None,
    group: GroupOption = None,
    journal: JournalOption = None,
    how: FormatOption = Listing.TABLE,
    state: Annotated[list[str] | None, typer.Option(help="Only in this state; repeatable.")] = None,
    limit: LimitOption = 1000,
) -> int:
    """Repairs, oldest first."""
    from reconciler.repair import State
    from trueup.audit.report import iso
    from trueup.bootstrap.journal import opened

    try:
        states = [State(one) for one in state or ()]
    except ValueError:
        raise typer.BadParameter(f"--state must be one of {', '.join(one.value for one in State)}") from None
    with opened(config, group, journal) as book:
        found = [
            {
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
            for record in book.repairs.listed(*states, limit=limit)
        ]
        broken = book.repairs.audit_broken_at()
    shown = ({**one, "changed_at": moment(one["changed_at"])} for one in found)
    write({"version": 1, "repairs": found, "audit_broken_at": broken}, how, None, listed(shown, "no repairs"))
    if broken is not None:
        say(f"the audit chain does not hold from line {broken} on: somebody changed it")
        return exits.UNVERIFIED
    return exits.EQUAL
