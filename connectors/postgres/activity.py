"""What else runs on the server: the number that brakes trueup."""

from __future__ import annotations

from connectors.postgres.session import Session
from verifier.errors import Forbidden

# Other users' sessions are hidden from a login without pg_monitor, up to their type: their text then says so.
_RUNNING = """
select count(*) filter (where state = 'active' and backend_type = 'client backend'),
       count(*) filter (where query = '<insufficient privilege>')
from pg_stat_activity where pid <> pg_backend_pid() and application_name not like 'trueup%%'
"""


def running_statements(session: Session, where: str) -> int:
    """Statements of clients that are being executed now, trueup's own aside; all databases of the server count.
    Forbidden if the login may not see them: a load that is not seen would brake nothing."""
    active, hidden = session.one(_RUNNING, ())
    if hidden:
        raise Forbidden(
            f"how many statements run on {where} is hidden from this login ({hidden} sessions): "
            "grant pg_monitor to it, or leave out the limit on load"
        )
    return int(active)
