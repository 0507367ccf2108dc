"""Which rows of a PostgreSQL leader are older than a recorded moment, and whether their table still is what it was.

A row's version says when its values were written, not under which names they are shown. A renamed column, a table that
took another's name, a partition attached, a label of an enum renamed: old rows then show something else than at the
time. Each of these writes the catalogue, so rows of the catalogue are held to the same age. That is stricter than
needed (a grant writes pg_class as well) and never wrong. Statistics and vacuum change the catalogue in place.
"""

from __future__ import annotations

from connectors.postgres.ages import fresh, older
from connectors.postgres.replica import PostgresReplica
from verifier.table import Family, Table

_NAMED_ELSEWHERE = (Family.ENUM, Family.ARRAY, Family.OTHER, Family.COMPOSITE, Family.RANGE)

_REDEFINED = """
with recursive tree(oid) as (
    select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = %s and c.relname = %s
    union
    select i.inhrelid from pg_inherits i join tree t on t.oid = i.inhparent
)
select case
  when not exists (select from tree) then 'it does not exist any more'
  when exists (select from tree join pg_class c using (oid) where c.relkind not in ('r', 'p'))
    then 'its rows carry no versions (it is a view or a foreign table)'
  when exists (select from tree join pg_class c using (oid) where {class_fresh})
    then 'it was made, renamed, rewritten or granted'
  when exists (select from pg_attribute a join tree t on t.oid = a.attrelid where a.attnum > 0 and {attribute_fresh})
    then 'a column of it was added, renamed or altered'
  when exists (select from pg_attrdef d join tree t on t.oid = d.adrelid where {default_fresh})
    then 'a default or a generated column of it was altered'
  when exists (select from pg_inherits i join tree t on t.oid = i.inhparent where {inherits_fresh})
    then 'a partition was attached to it'
  when exists (select from pg_namespace n where n.nspname = %s and {namespace_fresh}) then 'its schema was renamed'
  when %s and exists (select from pg_enum e where {enum_fresh}) then 'a label of an enum was added or renamed'
  else '' end
"""


class PostgresDated:
    """Asks the server of one replica, through its sessions; nothing is kept between calls."""

    def __init__(self, replica: PostgresReplica) -> None:
        self._replica = replica

    def older(self, floor: int) -> str:
        return older(floor)

    def redefined(self, table: Table, floor: int) -> str:
        name = table.stored
        named_elsewhere = any(column.family in _NAMED_ELSEWHERE for column in table.columns)
        sql = _REDEFINED.format(
            class_fresh=fresh(floor, "c.xmin"),
            attribute_fresh=fresh(floor, "a.xmin"),
            default_fresh=fresh(floor, "d.xmin"),
            inherits_fresh=fresh(floor, "i.xmin"),
            namespace_fresh=fresh(floor, "n.xmin"),
            enum_fresh=fresh(floor, "e.xmin"),
        )
        with self._replica.sessions.borrow(f"asking whether {table.name} was altered") as session:
            (said,) = session.one(sql, (name.schema, name.name, name.schema, named_elsewhere))
        return str(said)
