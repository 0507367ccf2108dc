"""`trueup doctor`: rights, settings, which evidence is possible, and what would improve it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from trueup import exits
from trueup.cli import options
from trueup.cli.output import Listing, write

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from connectors.remark import Remark

_STYLE = {"ok": "green", "note": "cyan", "warning": "yellow", "error": "bold red"}


def register(app: typer.Typer) -> None:
    app.command(help="Rights, settings, possible evidence, and what would improve it; exit 4 if something fails.")(
        doctor
    )


def doctor(
    config: options.Config = None,
    group: options.Group = None,
    how: options.How = Listing.TABLE,
) -> int:
    """Ask every server of the group what it allows; nothing is written anywhere but in the journal's own place."""
    from trueup.bootstrap.doctoring import examine
    from trueup.bootstrap.groups import chosen

    settings, wanted = chosen(config, group)
    found = list(examine(settings, wanted))
    result = {
        "version": 1,
        "group": wanted.name,
        "remarks": [
            {"subject": subject, "level": remark.level, "what": remark.what, "cure": remark.cure}
            for subject, remark in found
        ],
    }
    write(result, how, None, lambda out: _table(found, out))
    return exits.UNVERIFIED if any(remark.level == "error" for _, remark in found) else exits.EQUAL


def _table(found: list[tuple[str, Remark]], out: Any) -> None:
    from rich.console import Console
    from rich.text import Text

    from trueup.audit.progress import visible

    console = Console(file=out, highlight=False, markup=False, emoji=False)
    subject = None
    for name, remark in found:
        if name != subject:
            console.print(Text(visible(name), style="bold"))
            subject = name
        _put(console, Text(f"  {remark.level:8}", style=_STYLE[remark.level]), Text(visible(remark.what)))
        if remark.cure and remark.level != "ok":
            _put(console, Text("          -> ", style="dim"), Text(visible(remark.cure), style="dim"))


def _put(console: Console, head: Text, said: Text) -> None:
    """One line; what does not fit on a terminal goes on below, behind the width of its head."""
    from rich.table import Table

    if not console.is_terminal:
        console.print(head + said, soft_wrap=True)
        return
    line = Table.grid()
    line.add_column(no_wrap=True)
    line.add_column(overflow="fold")
    line.add_row(head, said)
    console.print(line)
