"""What the user asked an audit for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from connectors.client.patterns import matcher
from verifier.identity import stable_id
from verifier.ports import Identity
from verifier.table import TableName
from verifier.tolerance import Tolerance
from verifier.tolerated import named_tables


@dataclass(frozen=True, slots=True)
class Request:
    """`patterns` select tables on the leader; `excluded` and `included` (nothing: all) columns by table; `keys` names
    key columns of tables that have none; `conditions` SQL conditions by table (`*`: for all that have none of their
    own); `table_names` followers' names of leader's tables, by name or pattern (`trueup.audit.mapping`), and
    `column_names` of their columns, by leader's names; `tolerances` what values may differ by, by place
    (`verifier.tolerated`);
    `rows_max` ends the audit early (None: whole tables); `masked` columns by table are compared, and never told."""

    patterns: tuple[str, ...] = ("*",)
    excluded: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    rows_max: int | None = None
    included: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    conditions: Mapping[str, str] = field(default_factory=dict)
    table_names: Mapping[str, str] = field(default_factory=dict)
    column_names: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    tolerances: Mapping[str, Tolerance] = field(default_factory=dict)
    masked: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def condition(self, table: TableName) -> str | None:
        """The SQL condition for this table, if there is one."""
        return self.conditions.get(str(table), self.conditions.get("*"))

    def named(self) -> set[str]:
        """The tables that some option speaks of by name."""
        mapped = {name for name in self.table_names if "*" not in name}
        named = {*self.excluded, *self.keys, *self.included, *mapped, *self.column_names, *self.masked}
        return named | (self.conditions.keys() - {"*"}) | named_tables(self.tolerances)

    def absent(self, found: Sequence[TableName], default_schema: str | None = None) -> list[TableName]:
        """Tables that are asked for by name and were not found: they are not there, or may not be seen, and each must
        be told of. A name alone, which no schema has, is told of in the leader's default one. What a pattern leaves
        out is not missed."""
        wanted = dict.fromkeys(one for one in self.patterns if not set(one) & set("*?!"))
        left = matcher([one for one in self.patterns if one.startswith("!")])
        whole, alone = set(map(str, found)), {name.name for name in found}
        missed = [one for one in wanted if one not in (whole if "." in one else alone)]
        named = dict.fromkeys(TableName.parse(one, default_schema=default_schema or "public") for one in missed)
        return [*filter(left, named)]

    def idle(self, found: Sequence[TableName]) -> list[str]:
        """Patterns with `*` or `?` that none of the leader's tables matches: nobody should have to count tables to see
        that a schema's name was misspelled."""
        wanted = dict.fromkeys(one for one in self.patterns if not one.startswith("!") and set(one) & set("*?"))
        return [one for one in wanted if not any(map(matcher([one]), found))]

    def speaks_of(self, table: TableName) -> Mapping[str, tuple[str, ...]]:
        """The columns of the leader's table that must be there, by the option that names them."""
        name = str(table)
        return {
            "--columns": self.included.get(name, ()),
            "--key": self.keys.get(name, ()),
            "--map-column": tuple(self.column_names.get(name, {})),
        }

    def told(self) -> dict[str, Any]:
        """As the report prints it."""
        return {
            "tables": list(self.patterns),
            "excluded_columns": {name: list(columns) for name, columns in self.excluded.items()},
            "included_columns": {name: list(columns) for name, columns in self.included.items()},
            "keys": {name: list(columns) for name, columns in self.keys.items()},
            "where": dict(self.conditions),
            "renamed_tables": dict(self.table_names),
            "renamed_columns": {name: dict(names) for name, names in self.column_names.items()},
            "tolerances": {place: said.told() for place, said in self.tolerances.items()},
            **({"masked_columns": _listed(self.masked)} if self.masked else {}),
        }

    def fingerprint(self, leader: Identity, followers: Mapping[str, Identity | None]) -> str:
        """What runs that continue each other share: the request and the servers (None: it did not answer)."""
        wanted = {
            "patterns": list(self.patterns),
            "excluded": _listed(self.excluded),
            "included": _listed(self.included),
            "keys": _listed(self.keys),
            "conditions": dict(self.conditions),
            "tables": dict(self.table_names),
            "columns": {table: dict(names) for table, names in self.column_names.items()},
            **({"masked": _listed(self.masked)} if self.masked else {}),  # a run does not tell what it did not before
            "leader": [
                leader.system,
                leader.timeline,
            ],  # another one was promoted since: what matched may be lost there
        }
        if self.tolerances:
            wanted["tolerances"] = {place: said.told() for place, said in self.tolerances.items()}
        servers = {name: _server(identity) for name, identity in sorted(followers.items())}
        return json.dumps({"request": stable_id(json.dumps(wanted, sort_keys=True)), "followers": servers})


def continues(earlier: str, later: str) -> bool:
    """May a run with the fingerprint `later` go on with one that has `earlier`? A server that did not answer once may
    be any server; one that did must be the same."""
    one, other = json.loads(earlier), json.loads(later)
    if one["request"] != other["request"] or one["followers"].keys() != other["followers"].keys():
        return False
    pairs = ((system, other["followers"][name]) for name, system in one["followers"].items())
    return all(before == now or before is None or now is None for before, now in pairs)


def joined(one: Mapping[str, tuple[str, ...]], other: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """The columns of both, by table; each once."""
    return {table: tuple(sorted({*one.get(table, ()), *other.get(table, ())})) for table in sorted({*one, *other})}


def _server(follower: Identity | None) -> str | None:
    """A standby may follow its leader to another timeline; one that leads itself by now is another follower."""
    return None if follower is None else f"{follower.role.value} of {follower.system}"


def _listed(by_table: Mapping[str, tuple[str, ...]]) -> dict[str, list[str]]:
    return {name: list(columns) for name, columns in sorted(by_table.items())}
