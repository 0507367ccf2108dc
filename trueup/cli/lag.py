"""`trueup lag`: how late each follower is, and each hop of the change stream, asked now."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trueup import exits
from trueup.cli import options
from trueup.cli.output import Listing, write

if TYPE_CHECKING:
    from verifier.lag import HopLag


def register(app: typer.Typer) -> None:
    app.command(help="How late followers and the change stream are, now; exit 1 if one is late, 4 if unknown.")(lag)


def lag(
    config: options.Config = None,
    group: options.Group = None,
    how: options.How = Listing.TABLE,
    seconds: Annotated[float, typer.Option(min=0.5, help="How long to look.")] = 3.0,
    watch: Annotated[bool, typer.Option("--watch", help="Go on until Ctrl-C.")] = False,
) -> int:
    """Look for a few seconds and say who is late, by how much, and why."""
    from trueup.bootstrap.groups import chosen
    from trueup.bootstrap.journal import known_pauses
    from trueup.bootstrap.lagging import Lagging
    from trueup.cli.pause import entries

    settings, wanted = chosen(config, group)
    looking = Lagging.open(settings, wanted)
    try:
        while True:
            looking.look(seconds)
            hops, whys = looking.told()
            result = {**_result(wanted.name, hops, whys), "paused": entries(known_pauses(settings, wanted))}
            write(result, how, None, partial(_table, result))
            if not watch:
                break
    except KeyboardInterrupt:
        return exits.EQUAL
    finally:
        looking.close()
    states = {hop["state"] for hop in result["hops"]}
    if states & {"lagging", "stalled", "rewound"}:
        return exits.DRIFT
    return exits.UNVERIFIED if "unknown" in states else exits.EQUAL


def _result(group: str, hops: list[HopLag], whys: dict[str, str]) -> dict[str, Any]:
    return {
        "version": 1,
        "group": group,
        "hops": [
            {
                "hop": hop.hop,
                "seconds": None if hop.seconds is None else round(hop.seconds, 3),
                "changes": hop.changes,
                "transactions": hop.transactions,
                "state": hop.state.value,
                "detail": "; ".join(part for part in (hop.detail, whys.get(hop.hop, "")) if part),
            }
            for hop in hops
        ],
    }


def _table(result: dict[str, Any], out: Any) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from trueup.audit.progress import visible

    style = {"caught_up": "green", "lagging": "red", "stalled": "bold red", "rewound": "bold red", "unknown": "yellow"}
    counted = any(hop["transactions"] is not None for hop in result["hops"])
    numbers = ("seconds", "changes", *(("transactions",) if counted else ()))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("hop", "state", *numbers, "detail"):
        table.add_column(name, justify="right" if name in numbers else "left")
    for hop in result["hops"]:
        told = ["?" if hop["seconds"] is None else f"{hop['seconds']:.2f}"]
        told += ["?" if hop[name] is None else f"{hop[name]:,}" for name in numbers[1:]]
        place, detail = Text(visible(hop["hop"])), Text(visible(hop["detail"]))
        table.add_row(place, Text(hop["state"], style=style[hop["state"]]), *told, detail)
    console = Console(file=out, width=None if out.isatty() else 160, highlight=False, markup=False, emoji=False)
    console.print(table)
    for one in result["paused"]:
        console.print(visible(f"paused: {one['table'] or 'all tables'}, by {one['by']} since {one['since']}"))
