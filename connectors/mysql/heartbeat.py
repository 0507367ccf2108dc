"""Making the connector's heartbeat table on MariaDB or MySQL: written only because the operator asked."""

from __future__ import annotations

from connectors.mysql.session import Sessions


def create(url: str, statement: str) -> None:
    """Run the statement that makes it. Forbidden if the login may not, Unreachable if nobody answers."""
    sessions = Sessions(url)
    try:
        with sessions.borrow("creating the heartbeat table") as session:
            session.run("set session transaction read write")
            session.run(statement)
    finally:
        sessions.close()
