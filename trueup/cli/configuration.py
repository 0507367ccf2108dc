"""`trueup init` and `trueup config check|show|schema`: write, judge and print the configuration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from trueup import exits
from trueup.cli import options
from trueup.cli.output import say
from verifier.errors import Misconfigured


def register(app: typer.Typer) -> None:
    app.command(help="Write a first configuration and the rights it needs.")(init)
    group = typer.Typer(help="Judge or print the configuration.", no_args_is_help=True, rich_markup_mode=None)
    group.command(help="Name every problem at once, with its line; exit 3 if there is one.")(check)
    group.command(help="Print what is in force, secrets hidden.")(show)
    group.command(help="Print the JSON Schema, for editors.")(schema)
    app.add_typer(group, name="config")


def init(
    leader: Annotated[str, typer.Option(help="Leader URL: postgresql://user@host:5432/database.")],
    follower: Annotated[list[str], typer.Option(help="NAME=URL; repeatable.")],
    table: Annotated[
        list[str] | None, typer.Option(help="Patterns of tables (default: public.*, or MySQL's database).")
    ] = None,
    stream: Annotated[str, typer.Option(help="none, pgoutput, binlog, or kafka.")] = "none",
    repair_user: Annotated[str | None, typer.Option(help="Login that writes repairs to followers.")] = None,
    output: Annotated[Path, typer.Option(help="File to write.")] = Path("trueup.yaml"),
) -> int:
    """Write a commented trueup.yaml, never over one that exists, and print each server's SQL of the rights it needs."""
    from config.beginning import KafkaSource, draft
    from trueup.bootstrap.granting import default_tables, granted, reads_as

    followers: dict[str, str] = {}
    for number, text in enumerate(follower, 1):
        name, equals, url = text.partition("=")
        named = bool(equals) and "://" not in name
        followers[name if named else f"follower{number}"] = url if named else text
    sources: dict[str, KafkaSource | str | None] = {
        "none": None,
        "pgoutput": "pgoutput",
        "binlog": "binlog",
        "kafka": KafkaSource("localhost:9092", "shop", "http://localhost:8083"),
    }
    if stream not in sources:
        raise typer.BadParameter(f"--stream {stream!r}: must be none, pgoutput, binlog or kafka")
    same = [name for name, url in followers.items() if reads_as(url) == repair_user]
    if same:
        raise typer.BadParameter(
            f"--repair-user {repair_user!r}: {same[0]} is read with that login, whose sessions are to be read-only; "
            "name another one"
        )
    if output.exists():
        raise Misconfigured(f"{output} exists; name another --output or move it away")
    tables = tuple(table or (default_tables(leader),))
    text = draft(leader, followers, tables=tables, stream=sources[stream], repair_user=repair_user)
    try:
        output.touch(mode=0o600)
        output.write_text(text, encoding="utf-8")
    except OSError as problem:
        raise Misconfigured(f"cannot write {output}: {problem.strerror}") from problem
    say(f"wrote {output}; next: trueup config check, trueup doctor, trueup audit")
    decodes = stream in ("pgoutput", "binlog")
    typer.echo(granted(leader, followers, tables, decodes=decodes, repair_user=repair_user))
    return exits.EQUAL


def check(config: options.Config = None) -> int:
    """Every problem of the file at once; warnings do not fail."""
    from config.load import check as judge
    from config.load import find
    from config.problem import Severity

    path = find(config)
    problems = judge(path)
    for problem in problems:
        typer.echo(str(problem))
    if any(problem.severity is Severity.ERROR for problem in problems):
        return exits.CONFIGURATION
    say(f"{path}: valid")
    return exits.EQUAL


def show(config: options.Config = None) -> int:
    """What is in force after defaults and environment, secrets hidden."""
    from config.load import load
    from config.show import show as spelled

    typer.echo(spelled(load(config)), nl=False)
    return exits.EQUAL


def schema() -> int:
    """The JSON Schema of the file."""
    from config.schema import schema as described

    typer.echo(json.dumps(described(), indent=2))
    return exits.EQUAL
