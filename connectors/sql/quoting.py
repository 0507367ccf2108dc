"""Identifiers in quotes. A statement that is sent with parameters needs `%` doubled besides."""

from __future__ import annotations

from collections.abc import Callable

Quote = Callable[[str], str]


def quoted(name: str) -> str:
    """As standard SQL has it: PostgreSQL and SQLite."""
    return '"' + name.replace('"', '""') + '"'


def backticked(name: str) -> str:
    """As MariaDB and MySQL have it where sql_mode has no ANSI_QUOTES, which no session of trueup's has."""
    return "`" + name.replace("`", "``") + "`"
