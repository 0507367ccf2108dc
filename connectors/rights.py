"""What one login of trueup is for on one server: each engine's `rights` spells the least that takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Login:
    """`user` is '' where the URL names none. `schemas` are globs (`*`, `?`) of schemas, which MySQL calls databases;
    `database` is the URL's. `decodes`: it reads the change stream from the server itself. `writes`: it writes repairs
    (and reads what it is about to write)."""

    user: str
    database: str = ""
    schemas: tuple[str, ...] = ("*",)
    leader: bool = False
    decodes: bool = False
    writes: bool = False


def schemas_of(patterns: Sequence[str]) -> tuple[str, ...]:
    """The schemas that patterns of tables (`Replica.tables`) can reach; `*` alone where one reaches them all."""
    reached = {pattern.partition(".")[0] if "." in pattern else "*" for pattern in patterns if pattern[:1] != "!"}
    return ("*",) if "*" in reached or not reached else tuple(sorted(reached))


def is_glob(schema: str) -> bool:
    return "*" in schema or "?" in schema
