"""`trueup trace`: the life of a row: its changes in the log, and where each follower stopped agreeing."""

from __future__ import annotations

import sys
from functools import partial
from typing import Annotated, Any, TextIO

import typer

from trueup import exits
from trueup.cli import options
from trueup.cli.output import Listing, write

_VALUE_WIDTH = 24
_PLAIN_WIDTH = 400


def register(app: typer.Typer) -> None:
    app.command(help="A row's changes in the log, and where followers stopped agreeing; exit 1 if one differs.")(trace)


def trace(
    table: Annotated[str, typer.Argument(help="schema.table, as the leader calls it.")],
    key: Annotated[list[str], typer.Argument(help="The row's key, one value for each of its columns.")],
    config: options.Config = None,
    group: options.Group = None,
    how: options.How = Listing.TABLE,
    output: options.Output = None,
    mask: Annotated[list[str] | None, typer.Option(help="Column whose values are not shown; repeatable.")] = None,
    messages: Annotated[int, typer.Option(min=1, help="Newest messages of the topic to look through.")] = 500_000,
    megabytes: Annotated[int, typer.Option(min=1, help="Newest megabytes of the binlog to look through.")] = 512,
    seconds: Annotated[float, typer.Option(min=1, help="How long to read the log at most.")] = 30.0,
) -> int:
    """Every change with transaction, time, position and columns; then what each follower holds, and why it differs."""
    import secrets

    from reconciler.masking import Masking
    from trueup.bootstrap.groups import chosen
    from trueup.bootstrap.histories import Reach
    from trueup.bootstrap.tracing import Tracing
    from trueup.cli.discretion import hide_arguments
    from verifier.table import TableName

    hide_arguments()
    settings, wanted = chosen(config, group)
    tracing = Tracing.open(settings, wanted, Reach(messages, megabytes, seconds, _progress))
    try:
        name = TableName.parse(table, default_schema=tracing.servers.leader.default_schema or "public")
        if mask:
            known = tracing.masking
            columns = {**known.columns, name: known.of(name) | frozenset(mask)}
            tracing.masking = Masking(columns, known.salt or secrets.token_bytes(16))
        result = tracing.trace(name, key)
    finally:
        tracing.close()
    write(result, how, output, partial(_table, result))
    states = {one["state"] for one in result["followers"]}
    if states & {"missing", "extra", "mismatched"}:
        return exits.DRIFT
    return exits.UNVERIFIED if "unverified" in states else exits.EQUAL


def _progress(share: float) -> None:
    """On a terminal alone, and on standard error: the line is taken back when all is read."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\rreading the log: {share:.0%} " if share < 1 else "\r\033[K")
        sys.stderr.flush()


def _table(result: dict[str, Any], out: TextIO) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from trueup.audit.progress import visible

    console = Console(file=out, width=None if out.isatty() else _PLAIN_WIDTH, highlight=False)
    named = ", ".join(f"{name}={value}" for name, value in result["key"].items())
    console.print(Text(visible(f"{result['table']} {named}"), style="bold"))
    history = result["history"]
    told = f"changes from {history['source']}" if history["source"] != "none" else "no changes are known"
    told += f", complete behind {history['since']}" if history["since"] else ""
    console.print(Text(visible("; ".join(part for part in (told, history["note"]) if part))))
    marks = {one["step"]: one["follower"] for one in result["followers"] if one["step"]}
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("step", "committed", "transaction", "position", "change", "row", ""):
        table.add_column(name, justify="right" if name == "step" else "left", overflow="fold")
    for change in result["changes"]:
        table.add_row(
            str(change["step"]),
            (change["committed_at"] or "?")[:23].replace("T", " "),
            visible(change["transaction"]),
            change["position"],
            Text(change["operation"] + _of(change["columns"], change["operation"])),
            Text(visible(_row(change))),
            Text(f"< {marks[change['step']]}" if change["step"] in marks else "", style="red"),
        )
    if result["changes"]:
        console.print(table)
    server = result["leader"]["server"]
    _side(console, server, "" if server == "leader" else "leader", result["leader"]["row"])
    for one in result["followers"]:
        _side(console, one["follower"], _standing(one), one["row"])


def _of(columns: list[str] | None, operation: str) -> str:
    return f" of {', '.join(columns)}" if operation == "update" and columns else ""


def _row(change: dict[str, Any]) -> str:
    """The columns that an update changed, or all."""
    row, changed = change["row"] or {}, change["columns"]
    shown = row if change["operation"] != "update" or not changed else {name: row[name] for name in changed}
    return ", ".join(f"{name}={_short(value)}" for name, value in shown.items())


def _short(value: str | None) -> str:
    if value is None:
        return "NULL"
    return value if len(value) <= _VALUE_WIDTH else value[: _VALUE_WIDTH - 3] + "..."


def _standing(one: dict[str, Any]) -> str:
    """What a follower holds, and why."""
    if one["state"] in ("equal", "unverified"):
        return f"{one['state']}: {one['why']}" if one["why"] else str(one["state"])
    holds = "a state that is not among these changes" if one["holds"] is None else _after(one["holds"])
    differs: str = f" ({', '.join(one['columns'])})" if one["state"] == "mismatched" else ""
    cause = f"; {one['cause']}" if one["cause"] else ""
    at = f" at step {one['step']}" if one["step"] else f" at {one['since']}" if one["since"] else ""
    return f"{one['state']}{differs}: holds {holds}{cause}{at}: {one['why']}"


def _after(step: int) -> str:
    return "what the row was before them" if step == 0 else f"what it was after step {step}"


def _side(console: Any, name: str, told: str, row: dict[str, str | None] | None) -> None:
    from rich.text import Text

    from trueup.audit.progress import visible

    console.print(Text.assemble((visible(name), "bold"), visible(f"  {told}")))
    values = "no such row" if row is None else ", ".join(f"{column}={_short(value)}" for column, value in row.items())
    console.print(Text(visible(f"  {values}")))
