"""What would run and how the server would run it, for people: the digest of a chunk, its SQL and its plan.

Planning only: nothing is executed.
"""

from __future__ import annotations

from dataclasses import dataclass

from connectors.postgres.positions import TOLD_BY_LEADER, TOLD_BY_STANDBY, TOLD_BY_SUBSCRIBER
from connectors.postgres.replica import PostgresReplica
from verifier.keyrange import ALL, KeyRange
from verifier.look import Role
from verifier.table import Table


@dataclass(frozen=True, slots=True)
class Explanation:
    """The statement as sent (`%s` are parameters), its parameters, the plan's lines, and the choices behind it."""

    sql: str
    parameters: tuple[str, ...]
    plan: tuple[str, ...]
    scheme: str
    key_order: str


def explain_digest(replica: PostgresReplica, table: Table, within: KeyRange = ALL) -> Explanation:
    """The digest of one chunk of `table`. Errors as from any question."""
    told = {Role.LEADER: TOLD_BY_LEADER, Role.STANDBY: TOLD_BY_STANDBY, Role.SUBSCRIBER: TOLD_BY_SUBSCRIBER}
    statements = replica.statements(table)
    sql, values = statements.digest(within, told[replica.role()])
    with replica.sessions.borrow(f"explaining {table.name}") as session:
        plan = tuple(str(line) for (line,) in session.all(f"explain {sql}", values))
    return Explanation(sql, tuple(map(str, values)), plan, replica.options.form.value, statements.order.value)
