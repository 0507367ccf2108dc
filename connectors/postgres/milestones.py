"""Where chunks may end without a walk to find out: the planner's own histogram of the key.

ANALYZE keeps keys of real rows that divide the table into (by default) a hundred parts of as many rows each. A chunk
that wants many parts ends at one of them, for free; finding the same end by an index walk costs the leader an eighth of
the chunk's digest (`docs/benchmarks.md`). Ranges may end at any key, so an old histogram makes chunks of an uneven size
and never a wrong range; one that is too old to trust is not used: the walk takes its place.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

from connectors.postgres.session import Session
from verifier.table import Key, Table, TableName

ROWS_LEAST = 32_000
"""Rows that a chunk must want: to walk over fewer costs no more than to ask."""
CHANGED_MOST = 0.05
"""Share of the rows that may have changed since the histogram was made. More in one place could make a chunk that takes
far longer than it should."""
# A standby counts no changes, and a server that lost its counters has not analyzed since: neither can tell the age.
_BOUNDS = """
select s.histogram_bounds::text::bigint[], c.reltuples::float8
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_stats s on s.schemaname = n.nspname and s.tablename = c.relname
join pg_catalog.pg_stat_all_tables t on t.relid = c.oid
where n.nspname = %s and c.relname = %s and s.attname = %s and not s.inherited and c.relkind = 'r'
  and not pg_catalog.pg_is_in_recovery() and coalesce(t.last_analyze, t.last_autoanalyze) is not null
  and t.n_mod_since_analyze <= c.reltuples * %s and s.histogram_bounds is not null"""


@dataclass(slots=True)
class Milestones:
    """Of all tables of one server, read once per walk of a table. One thread at a time asks for a table."""

    _known: dict[TableName, tuple[list[int], float]] = field(default_factory=dict)
    """By table: the keys in order, and how many rows lie between two of them."""

    def after(self, session: Session, table: Table, after: Key | None, rows: int) -> Key | None:
        """The end of a chunk that begins at `after` and has at most about `rows` rows; None if an index walk must tell.
        `table` has one integer as its key."""
        if after is None:
            self._known.pop(table.stored, None)  # a new walk
        if rows < ROWS_LEAST or table.where is not None:
            return None
        if table.stored not in self._known:
            self._known[table.stored] = self._read(session, table)
        bounds, apart = self._known[table.stored]
        parts = int(rows / apart) if bounds else 0
        passed = 1 if after is None else bisect_right(bounds, int(str(after[0])))
        place = passed - 1 + parts
        return (bounds[place],) if parts and passed > 0 and place < len(bounds) else None

    def _read(self, session: Session, table: Table) -> tuple[list[int], float]:
        (key,) = table.key_columns()
        name = table.stored
        found = session.all(_BOUNDS, [name.schema, name.name, key.stored, CHANGED_MOST])
        if not found or len(found[0][0]) < 2 or found[0][1] <= 0:
            return [], 1.0
        bounds, rows = found[0]
        return list(bounds), rows / (len(bounds) - 1)
