"""The statements of a repair, composed once for the server (with parameters) and for people (with literals)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from psycopg import sql

from reconciler.repair import Action, Repair
from reconciler.rows import changed_columns, plain, writable
from verifier.errors import Unsound
from verifier.identity import key_text
from verifier.table import Column, Table, Value

Spell = Callable[[Value], sql.Composable]


@dataclass(frozen=True, slots=True)
class Written:
    """A statement and the values of its parameters (none if they are inlined)."""

    query: sql.Composed
    values: list[Value]


class _Speller:
    """Turns values into parameters, in the order in which they are spelled, or into literals."""

    def __init__(self, inline: bool) -> None:
        self.values: list[Value] = []
        self._inline = inline

    def __call__(self, value: Value) -> sql.Composable:
        if self._inline:
            return sql.Literal(value)
        self.values.append(value)
        return sql.Placeholder()


def guarded(table: Table, repair: Repair, *, inline: bool) -> Written:
    """The compare-and-set: writes the one row and returns it as text (`row_as_text`), or writes nothing."""
    spell = _Speller(inline)
    compose = {Action.INSERT: _insert, Action.UPDATE: _update, Action.DELETE: _delete}[repair.action]
    query = compose(table, repair, spell)
    # For people, what comes back is noise.
    return Written(query if inline else query + sql.SQL(" returning ") + row_as_text(table), spell.values)


def still_there(table: Table, repair: Repair) -> Written:
    """One row if the follower's row is still the expected one; for an insert: if any row has the key."""
    spell = _Speller(inline=False)
    condition = _key(table, repair, spell)
    if repair.action is not Action.INSERT:
        condition = condition + sql.SQL(" and ") + _seen(table, repair, spell)
    return Written(sql.SQL("select 1 from {} where {}").format(_name(table), condition), spell.values)


def row_as_text(table: Table) -> sql.Composed:
    """Every column that can be written, as reads spell it."""
    return sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(c.stored)) for c in plain(table).columns)


def _insert(table: Table, repair: Repair, spell: Spell) -> sql.Composed:
    wanted = writable(table, _row(repair, repair.wanted))
    columns = sql.SQL(", ").join([sql.Identifier(table.column(name).stored) for name in wanted])
    values = sql.SQL(", ").join([spell(value) for value in wanted.values()])
    key = sql.SQL(", ").join([sql.Identifier(column.stored) for column in table.key_columns()])
    return sql.SQL("insert into {} ({}) overriding system value values ({}) on conflict ({}) do nothing").format(
        _name(table), columns, values, key
    )


def _update(table: Table, repair: Repair, spell: Spell) -> sql.Composed:
    wanted = _row(repair, repair.wanted)
    changed = changed_columns(table, repair)
    if not changed:
        raise Unsound(f"repair {repair.id} of {table.name} key {key_text(repair.key)} changes no column")
    settings = [sql.SQL("{} = {}").format(sql.Identifier(c.stored), spell(wanted[c.name])) for c in changed]
    return sql.SQL("update {} set {} where {} and {}").format(
        _name(table), sql.SQL(", ").join(settings), _key(table, repair, spell), _seen(table, repair, spell)
    )


def _delete(table: Table, repair: Repair, spell: Spell) -> sql.Composed:
    return sql.SQL("delete from {} where {} and {}").format(
        _name(table), _key(table, repair, spell), _seen(table, repair, spell)
    )


def _key(table: Table, repair: Repair, spell: Spell) -> sql.Composed:
    """The key as the column's own type compares it, so that the index is used."""
    pairs = zip((column.stored for column in table.key_columns()), repair.key, strict=True)
    return sql.SQL(" and ").join(
        [sql.SQL("{} = {}").format(sql.Identifier(name), spell(str(value))) for name, value in pairs]
    )


def _seen(table: Table, repair: Repair, spell: Spell) -> sql.Composed:
    """Every column is still spelled as the plan saw it."""
    expected = _row(repair, repair.expected)

    def same(column: Column) -> sql.Composed:
        name, value = sql.Identifier(column.stored), expected[column.name]
        if value is None:
            return sql.SQL("{}::text is null").format(name)  # of a composite, `is null` would ask for its fields
        return sql.SQL('{}::text collate "C" = {}').format(name, spell(value))

    return sql.SQL(" and ").join([same(column) for column in plain(table).columns])


def _row(repair: Repair, row: Mapping[str, Value] | None) -> Mapping[str, Value]:
    if row is None:
        raise Unsound(f"repair {repair.id}: {repair.action.value} without the row that it needs")
    return row


def _name(table: Table) -> sql.Identifier:
    return sql.Identifier(table.stored.schema, table.stored.name)
