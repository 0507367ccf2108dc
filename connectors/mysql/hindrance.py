"""Why a replica is late, in its own words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.mysql.replica import MysqlReplica


def hindrance(replica: MysqlReplica) -> str:
    """What stops its threads; '' if they run. Forbidden if the login may not see that."""
    statement = "show all slaves status" if replica.dialect == "mariadb" else "show replica status"
    with replica.sessions.borrow("asking whether replication runs") as session:
        channels = session.named(statement)
    if not channels:
        return "it is no replica"
    return "; ".join(filter(None, map(_stopped, channels)))


def _stopped(channel: Mapping[str, Any]) -> str:
    said: list[str] = []
    for thread, what in (("io", "receiving"), ("sql", "applying")):
        running = _first(channel, f"slave_{thread}_running", f"replica_{thread}_running")
        if running.lower() not in ("yes", "1", ""):
            error = _first(channel, f"last_{thread}_error")
            # The error may quote values of rows: its number is enough to look it up there.
            number = _first(channel, f"last_{thread}_errno")
            said.append(
                f"{what} is {'stopped' if running.lower() == 'no' else running.lower()}"
                + (f" by error {number}" if error else "")
            )
    return ", ".join(said)


def _first(channel: Mapping[str, Any], *names: str) -> str:
    return next((str(channel[name]) for name in names if channel.get(name) is not None), "")
