"""`trueup position`: what to note down when a backup begins, so that the restored copy can be proven later."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from trueup import exits
from trueup.cli import options
from trueup.cli.discretion import hide_arguments
from trueup.cli.output import Listing, write
from verifier.errors import Misconfigured


def register(app: typer.Typer) -> None:
    app.command(help="What to note down before a backup begins, for a restore drill.")(position)


def position(
    leader: Annotated[str | None, typer.Option(help="Leader URL.")] = None,
    config: options.Config = None,
    group: options.Group = None,
    how: options.How = Listing.TABLE,
) -> int:
    """Ask the leader where it stands, and which of its transactions had ended."""
    from trueup.bootstrap.restore import position_of

    hide_arguments()
    told = position_of(_address(leader, config, group))
    write(told, how, None, partial(_table, told))
    return exits.EQUAL


def _address(leader: str | None, config: Path | None, group: str | None) -> str:
    if leader is not None:
        if config is not None:
            raise Misconfigured("give either --config or --leader, not both")
        return leader
    from trueup.bootstrap.groups import chosen

    return chosen(config, group)[1].leader.address()


def _table(told: dict[str, Any], out: TextIO = sys.stdout) -> None:
    for name, value in told.items():
        if name != "version" and value is not None:
            print(f"{name.replace('_', '-'):<15} {value}", file=out)
