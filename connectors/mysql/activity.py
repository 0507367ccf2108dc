"""What else runs on the server: the number that brakes trueup."""

from __future__ import annotations

from collections.abc import Collection

from connectors.mysql.session import Session
from verifier.errors import Forbidden

# Without the privilege a login sees its own sessions only.
_RUNNING = """
select id from information_schema.processlist
where command in ('Query', 'Execute', 'Long Data') and id <> connection_id()
"""


def running_statements(session: Session, own: Collection[int], where: str) -> int:
    """Statements of clients that are being executed now, but for those of our connections (`own`, their numbers).
    Forbidden if the login may not see them: a load that is not seen would brake nothing."""
    grants = " ".join(str(row[0]) for row in session.all("show grants"))
    if "PROCESS" not in grants.upper() and "ALL PRIVILEGES ON *.*" not in grants.upper():
        raise Forbidden(
            f"what runs on {where} is hidden from this login: GRANT PROCESS ON *.* to it, or leave out the limit "
            "on load"
        )
    return sum(1 for (number,) in session.all(_RUNNING) if int(number) not in own)
