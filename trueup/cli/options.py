"""The options that several commands have: what to compare, where it is known, and how the answer is written."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trueup.cli.output import Listing

Config = Annotated[Path | None, typer.Option("--config", help="Configuration file.")]
Group = Annotated[str | None, typer.Option(help="Group of the configuration (default: its only one).")]
Journal = Annotated[str | None, typer.Option(help="Journal path or URL, instead of a configuration.")]
How = Annotated[Listing, typer.Option("--format", help="table or json.")]
Output = Annotated[Path | None, typer.Option(help="File for the result instead of standard output.")]
Leader = Annotated[str | None, typer.Option(help="Leader URL, instead of a configuration.")]
Followers = Annotated[list[str] | None, typer.Option(help="Follower URL, or NAME=URL; repeatable.")]
Exclude = Annotated[list[str] | None, typer.Option(help="schema.table.column to leave out; repeatable.")]
Mask = Annotated[list[str] | None, typer.Option(help="schema.table.column to show masked; repeatable.")]
Key = Annotated[list[str] | None, typer.Option(help="schema.table=col,col: key where there is none.")]
Columns = Annotated[list[str] | None, typer.Option(help="schema.table=col,col: only these columns.")]
Where = Annotated[list[str] | None, typer.Option(help="SQL, or schema.table=SQL: only these rows.")]
MapTable = Annotated[list[str] | None, typer.Option(help="LEADER=FOLLOWER, 'public.*=archive.*'.")]
MapColumn = Annotated[list[str] | None, typer.Option(help="schema.table.col=FOLLOWERCOL.")]
Tolerate = Annotated[list[str] | None, typer.Option(help="schema.table.col=time_digits:3: so near is equal.")]
