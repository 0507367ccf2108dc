"""Which columns of a comparison have which tolerance: what the user said of all tables, of one, or of one column."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from verifier.compare import Comparison
from verifier.errors import Misconfigured
from verifier.table import Column, Family, TableName
from verifier.tolerance import Tolerance

EVERYWHERE = "*"
_SAID_BY: Mapping[Family, str] = {
    Family.FLOAT: "float_relative",
    Family.TIME: "time_digits",
    Family.TIMESTAMP: "time_digits",
    Family.TIMESTAMPTZ: "time_digits",
    Family.TEXT: "ignore_trailing_spaces",
    Family.CHAR: "ignore_trailing_spaces",
    Family.DECIMAL: "strict_scale",
}
"""The one setting that speaks of a column in this form. Blanks at the end of a char never count."""


def tolerating(compared: Comparison, wanted: Mapping[str, Tolerance]) -> Comparison:
    """The comparison with every column's tolerance. `wanted` by place: `*`, `schema.table` or `schema.table.column`;
    what is said of a column wins over what is said of its table, and that over what is said of all.

    Misconfigured where it cannot be kept to: a column of the key, one that is not there, one of which another family's
    setting speaks, and nearness in a table without a key, whose rows are counted and not compared with each other."""
    if not wanted:
        return compared
    name = compared.leader.name
    general = _of(name, wanted)
    own = {place.rpartition(".")[2]: said for place, said in wanted.items() if place.rpartition(".")[0] == str(name)}
    for column, said in own.items():
        _check(compared, column, said)
    pairs = [
        (ours, theirs, _tolerance(ours, theirs, own.get(ours.name, Tolerance()).over(general)))
        for ours, theirs in zip(compared.leader.columns, compared.follower.columns, strict=True)
    ]
    key = compared.leader.key
    pairs = [(ours, theirs, None if ours.name in key else tolerance) for ours, theirs, tolerance in pairs]
    if compared.keyless and (near := [ours.name for ours, _, tolerance in pairs if tolerance and tolerance.near]):
        raise Misconfigured(
            f"{name} has no key, so its rows are counted, and whether {', '.join(near)} is near can only be told row "
            "by row: name a key, exclude the column, or take the tolerance away"
        )
    left = tuple(replace(ours, tolerance=tolerance) for ours, _, tolerance in pairs)
    right = tuple(replace(theirs, tolerance=tolerance) for _, theirs, tolerance in pairs)
    return replace(
        compared,
        leader=replace(compared.leader, columns=left),
        follower=replace(compared.follower, columns=right),
    )


def words(compared: Comparison) -> dict[str, str]:
    """By column, what its values may differ by, for people."""
    return {column.name: column.tolerance.words() for column in compared.leader.columns if column.tolerance}


def named_tables(wanted: Mapping[str, Tolerance]) -> set[str]:
    """The tables that `wanted` speaks of by name."""
    return {".".join(place.split(".")[:2]) for place in wanted if place != EVERYWHERE}


def _of(name: TableName, wanted: Mapping[str, Tolerance]) -> Tolerance:
    return wanted.get(str(name), Tolerance()).over(wanted.get(EVERYWHERE))


def _tolerance(ours: Column, theirs: Column, said: Tolerance) -> Tolerance | None:
    """What of it is about such a column; None: nothing."""
    setting = _SAID_BY.get(ours.meets_as)
    if setting is None or ours.meets_as is not theirs.meets_as or ours.meets_as is Family.CHAR:
        return None
    value = getattr(said, setting)
    return Tolerance(**{setting: value}) if value is not None and value is not False else None


def _check(compared: Comparison, name: str, said: Tolerance) -> None:
    table = compared.leader
    if name in table.key:
        raise Misconfigured(f"{table.name}.{name} is part of the key, by which rows are found: it has no tolerance")
    column = next((one for one in table.columns if one.name == name), None)
    if column is None:
        if compared.problem is None and name not in compared.excluded:
            raise Misconfigured(f"{table.name} has no column {name!r}, for which a tolerance is given; check its case")
        return
    setting = _SAID_BY.get(column.meets_as)
    if odd := [one for one in said.told() if one != setting]:
        raise Misconfigured(
            f"{table.name}.{name} is compared as {column.meets_as.value}, of which {', '.join(odd)} does not speak"
            + (f"; {setting} does" if setting else "")
        )
