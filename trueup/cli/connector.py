"""`trueup connector`: the Debezium connector behind a group's Kafka stream."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trueup import exits
from trueup.cli import options
from trueup.cli.listing import listed
from trueup.cli.output import Listing, say, write
from verifier.errors import Misconfigured

if TYPE_CHECKING:
    from connectors.debezium.connect import Status
    from connectors.debezium.lifecycle import Outcome
    from trueup.bootstrap.connecting import Connecting


NameOption = Annotated[
    str | None, typer.Option("--connector", help="Another one than the group's own: a sink that feeds a follower.")
]


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        help="Render, register and mind the Debezium connector.", no_args_is_help=True, rich_markup_mode=None
    )
    group.command(help="Print the connector's configuration; secrets are hidden unless asked for.")(render)
    group.command(name="register", help="Create or update the connector, and its heartbeat table if asked.")(put)
    group.command(help="State of the connector, its settings and what it needs; exit 4 unless all is well.")(status)
    group.command(help="Restart the connector and its tasks, and wait until all of it runs.")(restart)
    group.command(help="Pause the connector, and wait until its tasks have paused. Its slot keeps the log.")(pause)
    group.command(help="Resume the connector, and wait until all of it runs.")(resume)
    group.command(help="Delete the connector, and tell what stays on the leader and how to take it away.")(delete)
    app.add_typer(group, name="connector")


def render(
    config: options.Config = None,
    group: options.Group = None,
    reveal: Annotated[bool, typer.Option("--reveal", help="Print passwords in clear.")] = False,
) -> int:
    """What `register` would send."""
    from connectors.debezium.connect import redacted

    with _open(config, group) as connecting:
        made = connecting.configuration()
        typer.echo(json.dumps(made if reveal else redacted(made), indent=2))
        say(connecting.heartbeat_words())
    return exits.EQUAL


def put(
    config: options.Config = None,
    group: options.Group = None,
    heartbeat: Annotated[
        bool, typer.Option("--create-heartbeat", help="Create the heartbeat table on the leader (a write).")
    ] = False,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait until all its tasks run.")] = 30.0,
) -> int:
    """Idempotent: an existing connector is updated, and its tasks start anew."""
    with _open(config, group) as connecting:
        if heartbeat:
            connecting.create_heartbeat()
        connecting.register()
        return _said(connecting.name, "runs", replace(connecting.lifecycle, seconds_max=wait).until("RUNNING"))


def status(
    config: options.Config = None,
    group: options.Group = None,
    name: NameOption = None,
    how: options.How = Listing.TABLE,
) -> int:
    """A connector may be RUNNING with a FAILED task, or run and tell too little: this says so, and what to do."""
    from connectors.debezium.failures import diagnosed
    from trueup.bootstrap.connecting import cure_of

    with _open(config, group, name) as connecting:
        found = connecting.status()
        remarks = [(part, remark) for part, remark in connecting.examined() if part != "connector"]
    parts = [(f"connector {found.name}", found.state, found.trace)]
    parts += [(f"task {task.id}", task.state, task.trace) for task in found.tasks]
    rows: list[dict[str, Any]] = []
    for part, state, trace in parts:
        failed = diagnosed(trace) if state == "FAILED" else None
        what, cure = (failed.what, failed.cure) if failed else ("", cure_of(state))
        rows.append({"part": part, "state": state, "why": trace, "what": what, "cure": cure})
    sound = found.running and not any(remark.level == "error" for _, remark in remarks)
    told = [{"part": part, "level": one.level, "what": one.what, "cure": one.cure} for part, one in remarks]
    result = {"version": 1, "name": found.name, "running": found.running, "parts": rows, "remarks": told}
    shown = [{name: row[name] for name in ("part", "state", "what", "cure")} for row in rows]
    shown += [{"part": one["part"], "state": one["level"], "what": one["what"], "cure": one["cure"]} for one in told]
    write(result, how, None, listed(shown, "no connector"))
    return exits.EQUAL if sound else exits.UNVERIFIED


def restart(config: options.Config = None, group: options.Group = None, name: NameOption = None) -> int:
    """All of it, whether it has failed or not."""
    with _open(config, group, name) as connecting:
        return _said(connecting.name, "runs", connecting.lifecycle.restart())


def pause(config: options.Config = None, group: options.Group = None, name: NameOption = None) -> int:
    """Nothing is lost meanwhile: the leader keeps its log, for as long as its disk and settings allow."""
    with _open(config, group, name) as connecting:
        return _said(connecting.name, "is paused", connecting.lifecycle.pause())


def resume(config: options.Config = None, group: options.Group = None, name: NameOption = None) -> int:
    """It goes on where it was."""
    with _open(config, group, name) as connecting:
        return _said(connecting.name, "runs", connecting.lifecycle.resume())


def delete(
    config: options.Config = None,
    group: options.Group = None,
    name: NameOption = None,
    forget: Annotated[
        bool,
        typer.Option("--forget", help="Forget where it was, too: the next one begins at its slot or at the present."),
    ] = False,
) -> int:
    """Without --forget, a connector that is registered again under the same name goes on where this one was."""
    with _open(config, group, name) as connecting:
        outcome, left = connecting.delete(forget=forget)
        code = _said(connecting.name, "is deleted", outcome)
        for line in left:
            say(line)
    return code


def _said(name: str, reached: str, outcome: Outcome) -> int:
    if outcome.reached:
        say(f"connector {name} {reached} ({outcome.waited_seconds:.1f} s)")
        return exits.EQUAL
    found = outcome.status
    state = "unknown to Kafka Connect" if found is None else _failure(found) or _states(found)
    say(f"connector {name}: after {outcome.waited_seconds:.1f} s it is {state}")
    return exits.UNVERIFIED


def _failure(found: Status) -> str | None:
    """What failed and what to do about it."""
    from connectors.debezium.failures import diagnosed

    if not found.traces:
        return None
    remark = diagnosed(found.traces[0])
    return f"failed: {remark.what}; do: {remark.cure}"


def _states(found: Status) -> str:
    tasks = ", ".join(f"task {task.id} {task.state.lower()}" for task in found.tasks)
    return found.state.lower() + (f" ({tasks})" if tasks else " (no task)")


@contextmanager
def _open(config: Any, group: str | None, name: str | None = None) -> Iterator[Connecting]:
    from trueup.bootstrap.connecting import Connecting
    from trueup.bootstrap.groups import chosen

    _, wanted = chosen(config, group)
    if wanted.stream is None or wanted.stream.kafka is None:
        raise Misconfigured(f"group {wanted.name!r} has no stream.kafka section: there is no connector to speak of")
    if wanted.stream.kafka.connect_url is None:
        raise Misconfigured(f"group {wanted.name!r}: stream.kafka.connect_url is not set; name Kafka Connect's address")
    connecting = Connecting.open(wanted, name)
    try:
        yield connecting
    finally:
        connecting.close()
