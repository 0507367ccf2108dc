"""`trueup run`: the daemon."""

from __future__ import annotations

import signal
from typing import Annotated

import typer

from trueup import exits
from trueup.cli import options
from trueup.cli.output import say


def register(app: typer.Typer) -> None:
    app.command(help="The daemon: follow, verify, scan, check, repair, relay, until SIGTERM.")(run)


def run(
    config: options.Config = None,
    seconds: Annotated[float | None, typer.Option(min=1, help="Stop by itself after this long.")] = None,
) -> int:
    """Run until SIGTERM or Ctrl-C; then every tick in progress ends, and the last positions are recorded."""
    from config.load import load
    from trueup import logs
    from trueup.bootstrap.daemon import open_daemon
    from trueup.collecting import search_seldom

    settings = load(config)
    logs.set_up(settings.log.level, settings.log.format)
    asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda caught, _frame: asked.append(caught))
    running = open_daemon(settings)
    search_seldom()
    running.start()
    if running.server is not None:
        host, port = running.server.address
        say(f"trueup runs: http://{host}:{port}/metrics /livez /readyz")
    try:
        running.daemon.wait(lambda: bool(asked), seconds)
    finally:
        running.close()
    dead = running.daemon.dead()
    for reason in dead:
        say(reason)
    return exits.UNVERIFIED if dead else exits.EQUAL
