"""One fact about a server, a connector or a setting, and what to do about it: for `doctor` and `connector status`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from verifier.checklist import listed, several
from verifier.errors import Forbidden, Permanent, Temporary
from verifier.ports import Replica
from verifier.table import TableName


@dataclass(frozen=True, slots=True)
class Remark:
    """`level` is `ok`, `note` (could be better), `warning` (something will be missing) or `error` (does not work);
    `cure` says what to do."""

    level: str
    what: str
    cure: str = ""


def readable(replica: Replica, names: Sequence[TableName], grant: str, otherwise: str = "") -> Iterator[Remark]:
    """Which of these tables can be read, and which have a key. `grant` cures a right that is missing, `otherwise`
    whatever else is in the way."""
    keyless: list[str] = []
    refused: list[str] = []
    forbidden = False
    for name in names:
        try:
            if not replica.table(name).key:
                keyless.append(str(name))
        except (Temporary, Permanent) as problem:
            refused.append(f"{name} ({problem})")
            forbidden = forbidden or isinstance(problem, Forbidden)
    if refused:
        yield Remark("error", f"cannot read {len(refused)} of {len(names)} tables: {listed(refused, ', ')}",
                     grant if forbidden else otherwise)  # fmt: skip
    if keyless:
        yield Remark("warning", f"no primary or unique not-null key: {listed(keyless, ', ')}",
                     "add a key, or name one under tables.keys; without it they stay unverified")  # fmt: skip
    if names and not refused and not keyless:
        yield Remark("ok", f"each can be read and has a key: {several(len(names), 'table')}")
