"""`trueup explain`: the SQL that an audit of a table would run, the servers' plans, and why it is so."""

from __future__ import annotations

from shutil import get_terminal_size
from textwrap import fill
from typing import Annotated, Any, TextIO

import typer

from trueup import exits
from trueup.cli import options
from trueup.cli.asking import Words, planned
from trueup.cli.audit_words import Narrowing
from trueup.cli.discretion import hide_arguments
from trueup.cli.output import Listing, write
from verifier.checklist import several


def register(app: typer.Typer) -> None:
    app.command(help="The SQL that an audit of a table would run, its plan, the scheme and why.")(explain)


def explain(
    table: Annotated[str, typer.Argument(help="schema.table, as the leader calls it.")],
    config: options.Config = None,
    group: options.Group = None,
    leader: options.Leader = None,
    follower: options.Followers = None,
    exclude: options.Exclude = None,
    key: options.Key = None,
    columns: options.Columns = None,
    where: options.Where = None,
    map_table: options.MapTable = None,
    map_column: options.MapColumn = None,
    tolerate: options.Tolerate = None,
    how: options.How = Listing.TABLE,
    output: options.Output = None,
) -> int:
    """Only index walks that find the bounds of one chunk are executed; the statements themselves are planned."""
    from trueup.audit.explaining import Explaining
    from trueup.audit.lineup import Lineup
    from trueup.bootstrap.engines import open_endpoints
    from verifier.table import TableName

    hide_arguments()
    narrowing = Narrowing(where or [], columns or [], map_table or [], map_column or [], tolerate or [])
    plan = planned(Words(config, group, leader, follower or [], [], exclude or [], key or [], narrowing=narrowing))
    servers = open_endpoints(plan.leader, plan.followers, plan.limits)
    try:
        remarks = servers.settle()
        lineup = Lineup(servers.leader, servers.followers, plan.request, servers.agreed.__contains__)
        name = TableName.parse(table, default_schema=servers.leader.default_schema or "public")
        told = Explaining(lineup, plan.scan, remarks).table(name)
    finally:
        servers.close()
    write(told, how, output, lambda out: _text(told, out))
    return exits.EQUAL


def _text(told: dict[str, Any], out: TextIO) -> None:
    from trueup.audit.progress import visible

    columns = get_terminal_size().columns if out.isatty() else None

    def line(text: str = "", indent: int = 0, whole: bool = False) -> None:
        """On a terminal folded behind its head, unless it is wanted `whole`, to be copied."""
        said = " " * indent + visible(text)
        below = " " * min(len(said) - len(text.partition(" ")[2].lstrip()), indent + 8)
        print(said if whole or columns is None else fill(said, columns, subsequent_indent=below), file=out)

    rows, chunks = told["estimated_rows"], told["estimated_chunks"]
    line(told["table"])
    line(f"key     {', '.join(told['key']) or 'none'}: {told['key_why']}", 2)
    size = (
        "unknown"
        if rows is None
        else f"about {rows:,} (the planner's estimate), in at least {several(chunks, 'chunk')}"
    )
    line(f"rows    {size}", 2)
    line(f"chunks  {told['chunks']}", 2)
    lower, upper = told["range"]["lower"], told["range"]["upper"]
    line(f"shown   the chunk from {_key(lower, 'the start')} to {_key(upper, 'the end')}", 2)
    for remark in told["remarks"]:
        line(f"note    {remark}", 2)
    seen: list[dict[str, Any]] = []
    for one in told["comparisons"]:
        line()
        line(f"on {one['follower']}")
        _comparison(one, line)
        for side in one.get("sides", ()):
            line()
            line(f"{side['server']} ({side['engine']})", 2)
            if side in seen:
                line("as above", 4)
                continue
            seen.append(side)
            for part in side["sql"].splitlines():  # a condition is as its user wrote it
                line(part, 4, whole=True)
            for place, value in enumerate(side["parameters"], 1):
                line(f"parameter {place}: {value}", 6)
            for note in side["notes"]:
                line(f"note: {note}", 6)
            for step in side["plan"]:
                line(f"| {step}", 6, whole=True)


def _comparison(one: dict[str, Any], line: Any) -> None:
    if one.get("problem"):
        line(f"problem {one['problem']}", 2)
    if "scheme" not in one:
        return
    line(f"scheme  {one['scheme']}: {one['scheme_means']}", 2)
    if one["scheme_why"]:
        line(f"why     {one['scheme_why']}", 2)
    line(f"columns {one['columns_compared']} compared{_excluded(one['excluded_columns'])}", 2)
    for name, what in one["tolerances"].items():
        line(f"allows  {name}: {what}", 2)
    if one["where"]:
        line(f"where   {one['where']}", 2)
    if one["table_on_follower"]:
        line(f"table   is called {one['table_on_follower']} there", 2)
    for ours, theirs in one["renamed_columns"].items():
        line(f"column  {ours} is called {theirs} there", 2)


def _excluded(columns: list[str]) -> str:
    return f", {', '.join(columns)} left out" if columns else ""


def _key(key: list[Any] | None, end: str) -> str:
    return end if key is None else ", ".join(map(str, key))
