"""Which table of a follower is compared with a leader's table, on which columns, and by which scheme."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from reconciler.masking import NOTHING_MASKED, Masking
from trueup.audit.mapping import mapped
from trueup.audit.request import Request
from verifier.compare import Comparison, SchemaFinding, comparison
from verifier.errors import Misconfigured, Permanent, Temporary
from verifier.features import UNTOLD, Feature, Lined, differences
from verifier.ports import Gather, Replica, in_turn
from verifier.scheme import chosen
from verifier.spelling import by_spelling
from verifier.table import Kind, Scheme, Table, TableName
from verifier.tolerated import tolerating

_TOLD = {
    Kind.VIEW: "it is a view: its rows have no versions that could prove a difference while it changes",
    Kind.FOREIGN: "its rows come from another server and have no versions that could prove a difference",
    Kind.PARENT: "only its own rows are compared: the tables that inherit from it are compared by themselves",
}


@dataclass(frozen=True, slots=True)
class Side:
    """One follower of one table."""

    replica: Replica
    compared: Comparison
    why: str = ""
    """Why the scheme is not a cheaper one."""

    @property
    def scheme(self) -> Scheme:
        return self.compared.leader.scheme


@dataclass(slots=True)
class Lineup:
    """`native` tells of a follower whether it has agreed with the leader on a native row hash."""

    leader: Replica
    followers: Mapping[str, Replica]
    request: Request
    native: Callable[[str], bool] = field(default=lambda follower: True)
    masking: Masking = NOTHING_MASKED
    gather: Gather[Sequence[Feature]] = in_turn
    """Leader and follower are asked at the same time, where they can be."""
    _keys: dict[TableName, tuple[str, ...]] = field(default_factory=dict)
    _names: Sequence[TableName] = ()

    def names(self) -> Sequence[TableName]:
        """The tables to compare, with those that the request names and the leader lacks; asked once. Misconfigured if
        the leader has none."""
        if not self._names:
            found = self.leader.tables(self.request.patterns)
            if not found:
                raise Misconfigured(
                    f"no table on {self.leader.name} matches {', '.join(self.request.patterns)} (patterns are "
                    "schema.table with * and ?, and the login must be allowed to see the tables)"
                )
            self._names = [*found, *self.request.absent(found, self.leader.default_schema)]
        return self._names

    def expect(self, names: Sequence[TableName]) -> None:
        """These tables come next, in this order."""
        self.leader.expect(names)
        for replica in self.followers.values():
            replica.expect([self.name_on(replica, name) for name in names])

    def table(self, name: TableName) -> Table:
        """The leader's table as it is to be read. Permanent, Temporary, Forbidden as the leader says; Permanent if the
        request names a column that it does not have, or one of its key to be masked."""
        table = self.leader.table(name)
        known = {column.name for column in table.columns}
        for option, columns in self.request.speaks_of(name).items():
            for column in columns:
                if column not in known:
                    raise Permanent(
                        f"{name} has no column {column!r}, which {option} names; check its spelling and case"
                    )
        keyed = self._keyed(table, name)
        self.masking.check(keyed)
        self._keys[keyed.name] = keyed.key
        return keyed

    def known_key(self, name: TableName) -> tuple[str, ...]:
        """The key's columns of a table that was described before. Asks nobody."""
        return self._keys[name]

    def side(self, table: Table, follower: str) -> Side:
        """How the follower's table compares. Permanent, Temporary, Forbidden as the follower says; Misconfigured if a
        tolerance cannot be kept to."""
        replica, request, name = self.followers[follower], self.request, table.name
        renamed = request.column_names.get(str(name), {})
        found = replica.table(self.name_on(replica, name))
        theirs = self._keyed(found, name, renamed)
        for ours, other in renamed.items():
            if other not in {column.name for column in theirs.columns}:
                raise Permanent(f"{theirs.name} on {follower} has no column {other!r}, which {ours!r} is mapped to")
        native = self.native(follower)
        excluded = self._excluded(table)
        compared = comparison(
            table, theirs, frozenset(excluded), renamed=renamed, abroad=replica.dialect != self.leader.dialect
        )
        compared = tolerating(compared, request.tolerances)
        choice = chosen(compared, self.leader, replica, native=native)
        compared, choice = by_spelling(compared, choice, self.leader, replica, request.condition(name))
        findings, untold = self._beside_columns(compared, replica)
        return Side(
            replica,
            replace(
                compared,
                findings=compared.findings + findings,
                excluded_why={column: excluded[column] for column in compared.excluded},
                remarks=(*self._remarks(compared, found), *untold),
            ),
            choice.why,
        )

    def name_on(self, replica: Replica, name: TableName) -> TableName:
        """The table's name there: the one that the user gave, else the same, with the servers' default schemas taken
        for each other (PostgreSQL's `public`, the database that a MySQL URL names)."""
        given = mapped(name, self.request.table_names)
        ours, theirs = self.leader.default_schema, replica.default_schema
        if given is not None:
            return TableName.parse(given, default_schema=theirs or name.schema)
        if theirs is not None and name.schema == ours:
            return name._replace(schema=theirs)
        return name

    def _excluded(self, table: Table) -> dict[str, str]:
        """Columns that are not compared, and why: named so, or not among those that alone are wanted."""
        excluded = dict.fromkeys(self.request.excluded.get(str(table.name), ()), "excluded by name")
        included = self.request.included.get(str(table.name))
        if included is None:
            return excluded
        unwanted = [column.name for column in table.columns if column.name not in included]
        return {**dict.fromkeys(unwanted, "not among the columns asked for"), **excluded}

    def _keyed(self, table: Table, name: TableName, renamed: Mapping[str, str] | None = None) -> Table:
        """The table with the key that the user named for it, where it has none of its own."""
        named = self.request.keys.get(str(name))
        if not named or table.key:
            return table
        theirs = tuple((renamed or {}).get(column, column) for column in named)
        known = {column.name for column in table.columns}
        for column in theirs:
            if column not in known:
                raise Permanent(f"{table.name} has no column {column!r}, which was named as its key; check --key")
        return replace(table, key=theirs)

    def _beside_columns(
        self, compared: Comparison, replica: Replica
    ) -> tuple[tuple[SchemaFinding, ...], tuple[str, ...]]:
        """What differs beside the columns, or in words why that was not told. It never stops the comparison."""
        leader, follower = compared.leader, compared.follower
        renamed = {column.stored: column.name for column in follower.columns if column.stored != column.name}
        lined = Lined(
            alike=self.leader.dialect == replica.dialect,
            columns=frozenset(column.name for column in leader.columns),
            table_renamed=follower.stored != leader.stored,
            renamed=renamed,
        )
        try:
            ours, theirs = self.gather(
                [lambda: self.leader.features(leader.stored), lambda: replica.features(follower.stored)]
            )
        except (Temporary, Permanent) as problem:
            return (), (f"indexes, constraints, defaults and sequences were not compared: {problem}",)
        silent = {
            one.dialect: ", ".join(feature.text for feature in told if feature.what == UNTOLD)
            for one, told in ((self.leader, ours), (replica, theirs))
        }
        remarks = [
            f"not compared, because {engine} does not tell them: {kinds}" for engine, kinds in silent.items() if kinds
        ]
        return tuple(differences(ours, theirs, lined)), tuple(remarks)

    def _remarks(self, compared: Comparison, found: Table) -> list[str]:
        """What a reader must know of how this table is compared."""
        table = compared.leader
        remarks: list[str] = []
        for side, kind in (("leader", table.kind), ("follower", compared.follower.kind)):
            if kind in _TOLD:
                remarks.append(f"on the {side} {_TOLD[kind]}")
        if table.key and table.key == self.request.keys.get(str(table.name)):
            remarks.append(f"its key ({', '.join(table.key)}) was named by the user and is trusted to be unique")
        known = {column.name for column in (*found.columns, *table.columns)} | set(compared.excluded)
        for column in self.request.excluded.get(str(table.name), ()):
            if column in table.key:
                remarks.append(f"column {column!r} was to be excluded, but is part of the key and is compared")
            elif column not in known:
                remarks.append(f"column {column!r} was to be excluded, but neither side has it")
        return remarks
