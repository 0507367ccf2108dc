"""Before a cutover: may the application be pointed at this follower now? A checklist, each line decided on its own.

Rows are one line of it. What replication does not carry is the rest: sequences (a follower whose next value lies at or
below what was handed out collides with the first insert), indexes, constraints, triggers, extensions, large objects.
A line that nothing could be found out about is `unknown`, and then the answer is no.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from verifier.checklist import Check, Result, listed, several, summed
from verifier.surroundings import Written
from verifier.table import TableName


def moved(tables: Mapping[TableName, tuple[int, Written | None]], what: str, to_do: str, on: str) -> Check:
    """The leader took transaction ids (or wrote its log: `what` says from where to where) while it was read. It stood
    still all the same if every table still holds the rows that were read (how many: beside it) and no version of them
    is younger: then what took the ids wrote none of them (analyze, other databases, what was rolled back)."""
    stirred: list[str] = []
    unknown: list[str] = []
    for table, (read, written) in sorted(tables.items()):
        if written is None:
            unknown.append(str(table))
        elif written.fresh or written.rows != read:
            gone = written.fresh + read - written.rows
            parts = [f"{written.fresh} rows written"] if written.fresh else []
            parts += [f"{gone} rows gone"] if gone > 0 else []
            stirred.append(f"{table}: {', '.join(parts) or f'{written.rows - read} rows more than were read'}")
    question = "the leader stood still from before the first read to after the last"
    if stirred:
        return Check("leader-still", on, question, Result.UNKNOWN, f"{what}; {listed(stirred)}", to_do)
    if unknown or not tables:
        reason = f"what this changed could not be told for {listed(unknown)}" if unknown else "no table was read"
        return Check("leader-still", on, question, Result.UNKNOWN, f"{what}; {reason}", to_do)
    detail = f"{what}, and none of it wrote a row of the {len(tables)} tables that were read"
    return Check("leader-still", on, question, Result.PASS, detail)


def described(what: str, leader: str | None, note: str | None) -> Result:
    """What a finding of schema weighs here: an application that is pointed at a follower needs what its leader had.
    What only the follower has beside columns, and what is wrong on the leader as well, is for people to weigh."""
    if note is not None and note.startswith("on the leader"):
        return Result.WARNING
    beside = what not in ("column", "type", "nullability", "key", "default")
    return Result.WARNING if beside and leader is None and note is None else Result.FAIL


@dataclass(slots=True)
class Rows:
    """What the tables' comparison came to on one follower; fed table by table."""

    on: str
    tables: int = 0
    rows: int = 0
    drifted: list[str] = field(default_factory=list)
    doubtful: list[str] = field(default_factory=list)
    counts: list[str] = field(default_factory=list)
    partial: list[str] = field(default_factory=list)
    described: list[tuple[Result, str]] = field(default_factory=list)
    probable: list[str] = field(default_factory=list)

    def checks(self) -> list[Check]:
        on = self.on
        found = [(Result.FAIL, one) for one in self.drifted] + [(Result.UNKNOWN, one) for one in self.doubtful]
        if not self.tables:
            found.append((Result.UNKNOWN, "no table was compared"))
        tables = several(self.tables, "table")
        return [
            summed("rows", on, "every row of every table is equal", found,
                    f"{tables}, {several(self.rows, 'row')}, none differs",
                    "repair what differs (trueup repair), make up for what was not verified, and audit again"),
            summed("row-counts", on, "every table has as many rows as on the leader",
                    [(Result.FAIL, one) for one in self.counts], tables, "see the rows that differ"),
            summed("complete", on, "nothing was left out: no column, no row, no table",
                    [(Result.UNKNOWN, one) for one in self.partial], "all columns and rows",
                    "audit every table without exclusions, conditions and tolerances, or accept it in writing"),
            summed("schema", on, "tables are described alike", self.described, tables,
                    "alter the table on the follower"),
            summed("evidence", on, "everything is proven", [(Result.UNKNOWN, one) for one in self.probable],
                    "no verdict is only probable", "stop the leader and audit again"),
        ]  # fmt: skip
