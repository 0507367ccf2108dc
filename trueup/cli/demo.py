"""`trueup demo`: everything, on embedded servers, with no set-up."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Annotated

import typer

from trueup import exits


def register(app: typer.Typer) -> None:
    app.command(help="Everything on embedded servers, no set-up: about half a minute.")(demo)


def demo(
    output: Annotated[Path, typer.Option(help="Folder for the report, the events and the configuration.")] = Path(
        "trueup-demo"
    ),
) -> int:
    """Start real servers, damage a follower, find it, repair it, and remove everything but the report."""
    from trueup import logs
    from trueup.demo.folder import fresh
    from trueup.demo.story import Demo, Unexpected
    from trueup.demo.telling import Teller

    logs.set_up("error")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupted)
    teller = Teller()
    try:
        Demo(fresh(output), teller).run()
    except Unexpected as problem:
        teller.line(str(problem), "bold red")
        return exits.DRIFT
    return exits.EQUAL


def _interrupted(number: int, frame: object) -> None:
    """Once: what follows is the clearing away, which must not be interrupted too."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt
