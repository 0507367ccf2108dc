"""`trueup connector`: the Debezium connector behind a group's Kafka stream."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trueup import exits
from trueup.cli.known import ConfigOption, FormatOption, GroupOption
from trueup.cli.listing import listed
from trueup.cli.output import Listing, say, write
from verifier.errors import Misconfigured

if TYPE_CHECKING:
    from trueup.bootstrap.connecting import Connecting


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        help="Render, register and mind the Debezium connector.", no_args_is_help=True, rich_markup_mode=None
    )
    group.command(help="Print the connector's configuration, its password as a reference.")(render)
    group.command(name="register", help="Create or update the connector, and its heartbeat table if asked.")(put)
    group.command(help="State of the connector and its tasks; exit 4 unless all of it runs.")(status)
    for verb in ("restart", "pause", "resume", "delete"):
        group.command(name=verb, help=f"{verb.capitalize()} the connector.")(_command(verb))
    app.add_typer(group, name="connector")


def render(config: ConfigOption = None, group: GroupOption = None) -> int:
    """What `register` would send, passwords hidden."""
    from connectors.debezium.connect import redacted

    connecting = _open(config, group)
    try:
        typer.echo(json.dumps(redacted(connecting.configuration()), indent=2))
        say(
            f"the heartbeat table that it writes, once, by the leader's owner (and before that on every "
            f"subscriber of a publication for all tables, or it stops):\n{connecting.heartbeat_sql()}"
        )
    finally:
        connecting.close()
    return exits.EQUAL


def put(
    config: ConfigOption = None,
    group: GroupOption = None,
    heartbeat: Annotated[
        bool, typer.Option("--create-heartbeat", help="Create the heartbeat table on the leader (a write).")
    ] = False,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait until all its tasks run.")] = 30.0,
) -> int:
    """Idempotent: an existing connector is updated."""
    connecting = _open(config, group)
    try:
        if heartbeat:
            connecting.create_heartbeat()
        connecting.register()
        found = connecting.wait(wait)
    finally:
        connecting.close()
    say(f"connector {found.name}: {found.failure or found.state.lower()}")
    return exits.EQUAL if found.running else exits.UNVERIFIED


def status(config: ConfigOption = None, group: GroupOption = None, how: FormatOption = Listing.TABLE) -> int:
    """A connector may be RUNNING with a FAILED task: this says so."""
    connecting = _open(config, group)
    try:
        found = connecting.status()
    finally:
        connecting.close()
    rows: list[dict[str, Any]] = [{"part": f"connector {found.name}", "state": found.state, "why": found.trace}]
    rows += [{"part": f"task {task.id}", "state": task.state, "why": task.trace} for task in found.tasks]
    result = {"version": 1, "name": found.name, "running": found.running, "parts": rows}
    brief = [{**row, "why": str(row["why"]).strip().split("\n", 1)[0]} for row in rows]
    write(result, how, None, listed(brief, "no connector"))
    return exits.EQUAL if found.running else exits.UNVERIFIED


def _command(verb: str) -> Any:
    def act(config: ConfigOption = None, group: GroupOption = None) -> int:
        connecting = _open(config, group)
        try:
            connecting.act(verb)
        finally:
            connecting.close()
        say(f"connector {connecting.name}: {verb} was accepted")
        return exits.EQUAL

    return act


def _open(config: Any, group: str | None) -> Connecting:
    from trueup.bootstrap.connecting import Connecting
    from trueup.cli.groups import chosen

    _, wanted = chosen(config, group)
    if wanted.stream is None or wanted.stream.kafka is None:
        raise Misconfigured(f"group {wanted.name!r} has no stream.kafka section: there is no connector to speak of")
    if wanted.stream.kafka.connect_url is None:
        raise Misconfigured(f"group {wanted.name!r}: stream.kafka.connect_url is not set; name Kafka Connect's address")
    return Connecting.open(wanted)
