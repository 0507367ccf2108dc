"""What an audit of one table would do, without doing it: SQL, plan, scheme, key, order, chunks, and why each is so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from trueup.audit.lineup import Lineup, Side
from trueup.audit.report import Json, how_compared
from verifier.errors import Permanent, Temporary
from verifier.keyrange import KeyRange
from verifier.policy import ScanPolicy
from verifier.ports import Explanation, Replica
from verifier.table import Scheme, Table, TableName

_SCHEMES = {
    Scheme.NATIVE: "each server hashes rows with its own cheapest sound function, and only sums travel",
    Scheme.CANONICAL: "each server writes the same canonical text of a row and hashes that, and only sums travel",
    Scheme.CLIENT: "trueup reads every row and hashes its canonical form",
}


@dataclass(frozen=True, slots=True)
class Explaining:
    """`remarks`: what the servers said while they agreed on a native hash."""

    lineup: Lineup
    scan: ScanPolicy
    remarks: Sequence[str] = ()

    def table(self, name: TableName) -> Json:
        """The whole explanation. Permanent, Temporary, Forbidden as the leader says; a follower's problem is told."""
        table = self.lineup.table(name)
        within = self._chunk(table)
        rows = table.estimated_rows
        return {
            "version": 1,
            "table": str(name),
            "key": list(table.key),
            "key_why": self._key_why(table),
            "estimated_rows": rows,
            "estimated_chunks": None if rows is None else max(1, -(-rows // self.scan.rows_max)),
            "chunks": (
                f"{self.scan.rows_first:,} rows at first, then as many as take {self.scan.chunk_seconds:g} s on the "
                f"slower side, {self.scan.rows_max:,} at most"
            ),
            "range": {"lower": _bound(within.lower), "upper": _bound(within.upper)},
            "remarks": [one for one in self.remarks if _concerns(one, name)],
            "comparisons": [self._comparison(table, follower, within) for follower in self.lineup.followers],
        }

    def _chunk(self, table: Table) -> KeyRange:
        """A chunk as the walk would cut it: the second, which has both bounds; the only one of a small table."""
        if not table.key:
            return KeyRange()
        lower = self.lineup.leader.boundary(table, None, self.scan.rows_first)
        if lower is None:
            return KeyRange()
        return KeyRange(lower, self.lineup.leader.boundary(table, lower, self.scan.rows_first))

    def _comparison(self, table: Table, follower: str, within: KeyRange) -> dict[str, Any]:
        try:
            side = self.lineup.side(table, follower)
        except (Permanent, Temporary) as problem:
            return {"follower": follower, "problem": str(problem)}
        told = {
            "follower": follower,
            "problem": side.compared.problem,
            "scheme": side.scheme.value,
            "scheme_means": _SCHEMES[side.scheme],
            **how_compared(side.compared, side.why),
            "excluded_columns": list(side.compared.excluded),
        }
        if not (side.compared.addressable or side.compared.keyless):
            return told
        return told | {"sides": list(self._sides(side, within))}

    def _sides(self, side: Side, within: KeyRange) -> list[dict[str, Any]]:
        pairs = ((self.lineup.leader, side.compared.leader), (side.replica, side.compared.follower))
        return [_side(replica, replica.explain(table, within)) for replica, table in pairs]

    def _key_why(self, table: Table) -> str:
        if not table.key:
            return "there is no primary key and no unique key of not-null columns: rows cannot be addressed"
        if str(table.name) in self.lineup.request.keys and not self.lineup.leader.table(table.name).key:
            return "named as its key; the table has none of its own"
        return "the primary key, or without one the unique key of the fewest not-null columns"


def _side(replica: Replica, told: Explanation) -> dict[str, Any]:
    return {
        "server": replica.name,
        "engine": replica.dialect,
        "sql": told.sql,
        "parameters": list(told.parameters),
        "plan": list(told.plan),
        "notes": list(told.notes),
    }


def _bound(key: tuple[int | str, ...] | None) -> list[int | str] | None:
    return None if key is None else list(key)


def _concerns(remark: str, name: TableName) -> bool:
    """Remarks about other tables are not of interest here."""
    about, walked, _ = remark.partition(" is walked by bytes")
    return not walked or about == str(name)
