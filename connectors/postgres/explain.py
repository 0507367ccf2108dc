"""What would run and how the server would run it, for people: the digest of a chunk, its SQL and its plan.

Planning only: nothing is executed.
"""

from __future__ import annotations

from connectors.postgres.expressions import RowForm
from connectors.postgres.keys import ORDERED_BY_COLLATION, NativeKeys, TextOrder
from connectors.postgres.positions import TOLD_BY_LEADER, TOLD_BY_STANDBY, TOLD_BY_SUBSCRIBER
from connectors.postgres.session import Session
from connectors.postgres.statements import Statements
from verifier.keyrange import ALL, KeyRange
from verifier.look import Role
from verifier.ports import Explanation
from verifier.table import Scheme, Table

_TOLD = {Role.LEADER: TOLD_BY_LEADER, Role.STANDBY: TOLD_BY_STANDBY, Role.SUBSCRIBER: TOLD_BY_SUBSCRIBER}
_FORMS = {
    RowForm.RECORD: "rows are hashed by hash_record_extended, seeded with the key: the cheapest sound form",
    RowForm.TEXT: "rows are hashed as text, because not every server has the same hash of a record",
}

_OTHERS = {
    Scheme.CANONICAL: "rows are hashed as their canonical form, SHA-256 cut to 64 bits, as the other engine does",
    Scheme.CLIENT: "rows are read whole, and hashed by trueup",
}


def explain_digest(
    session: Session, table: Table, statements: Statements, form: RowForm, role: Role, within: KeyRange, joined: bool
) -> Explanation:
    """The digest of one chunk of `table`. Errors as from any question."""
    if table.scheme is Scheme.CLIENT:
        sql, values = statements.everything(within, _TOLD[role], joined=joined)
    else:
        sql, values = statements.digest(within, _TOLD[role])
    lines = session.all(f"explain {sql}", values, by_bitmap=table.scheme is not Scheme.CLIENT and within != ALL)
    plan = tuple(str(line) for (line,) in lines)
    return Explanation(sql, tuple(map(str, values)), plan, tuple(_notes(table, statements, form)))


def _notes(table: Table, statements: Statements, form: RowForm) -> list[str]:
    notes = [_FORMS[form] if table.scheme is Scheme.NATIVE else _OTHERS[table.scheme]]
    named = [column.name for column in table.key_columns() if column.family in ORDERED_BY_COLLATION]
    if not table.key:
        return [*notes, "without a key there are no chunks: its rows are counted as a whole"]
    if not named:
        return [*notes, "the key has no text: its own order is the same on every server"]
    if statements.keys == NativeKeys(TextOrder.NATIVE):
        return [*notes, f"key {', '.join(named)} is walked in the order of its own index, which sorts alike everywhere"]
    return [*notes, f'key {", ".join(named)} is walked by bytes (collate "C"), which an index in another order misses']
