"""Which table of a follower is compared with a leader's table, on which columns, and by which scheme."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from trueup.audit.request import Request
from verifier.compare import Comparison, comparison, using
from verifier.errors import Permanent
from verifier.ports import Replica
from verifier.scheme import chosen
from verifier.table import Scheme, Table, TableName


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

    def table(self, name: TableName) -> Table:
        """The leader's table as it is to be read. Permanent, Temporary, Forbidden as the leader says."""
        return self._keyed(self.leader.table(name), name)

    def side(self, table: Table, follower: str) -> Side:
        """How the follower's table compares. Permanent, Temporary, Forbidden as the follower says."""
        replica, request, name = self.followers[follower], self.request, table.name
        renamed = request.column_names.get(str(name), {})
        theirs = self._keyed(replica.table(self.name_on(replica, name)), name, renamed)
        native = self.native(follower)
        compared = comparison(
            table, theirs, self._excluded(table), renamed=renamed, abroad=replica.dialect != self.leader.dialect
        )
        choice = chosen(compared, self.leader, replica, native=native)
        return Side(replica, using(compared, choice.scheme, request.condition(name)), choice.why)

    def name_on(self, replica: Replica, name: TableName) -> TableName:
        """The table's name there: the one that the user gave, else the same, with the servers' default schemas taken
        for each other (PostgreSQL's `public`, the database that a MySQL URL names)."""
        given = self.request.table_names.get(str(name))
        ours, theirs = self.leader.default_schema, replica.default_schema
        if given is not None:
            return TableName.parse(given, default_schema=theirs or name.schema)
        if theirs is not None and name.schema == ours:
            return replace(name, schema=theirs)
        return name

    def _excluded(self, table: Table) -> frozenset[str]:
        """Columns that are not compared: named so, or not among those that alone are wanted."""
        excluded = frozenset(self.request.excluded.get(str(table.name), ()))
        included = self.request.included.get(str(table.name))
        if included is None:
            return excluded
        return excluded | {column.name for column in table.columns if column.name not in included}

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
