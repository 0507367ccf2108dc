"""`trueup doctor`: rights, settings, which evidence is possible, and what would improve it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trueup import exits
from trueup.cli.output import Listing, write

if TYPE_CHECKING:
    from connectors.remark import Remark

_STYLE = {"ok": "green", "note": "cyan", "warning": "yellow", "error": "bold red"}


def register(app: typer.Typer) -> None:
    app.command(help="Rights, settings, possible evidence, and what would improve it; exit 4 if something fails.")(
        doctor
    )


def doctor(
    config: Annotated[Path | None, typer.Option("--config", help="Configuration file.")] = None,
    group: Annotated[str | None, typer.Option(help="Group of the configuration (default: its only one).")] = None,
    how: Annotated[Listing, typer.Option("--format", help="table or json.")] = Listing.TABLE,
) -> int:
    """Ask every server of the group what it allows; nothing is written anywhere but in the journal's own place."""
    from trueup.bootstrap.doctoring import examine
    from trueup.cli.groups import chosen

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

    console = Console(file=out, highlight=False, width=None if out.isatty() else 160)
    subject = None
    for name, remark in found:
        if name != subject:
            console.print(Text(name, style="bold"))
            subject = name
        console.print(Text("  ").append(f"{remark.level:8}", style=_STYLE[remark.level]).append(remark.what))
        if remark.cure and remark.level != "ok":
            console.print(Text(f"          -> {remark.cure}", style="dim"))
