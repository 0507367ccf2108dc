"""A table in which the leader's time is written again and again, and which is replicated with the rest."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from config.model import Condition, Model, Name


class Heartbeat(Model):
    """From what the lag of followers is told that tell no position in the leader's log: the leader's own time, written
    by a job of yours on the leader once a second or so (as `pt-heartbeat --update` does) and replicated as the other
    tables are. Only what the leader wrote is compared, so no clock of another machine matters. trueup only reads it."""

    table: Annotated[str, Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)?$", examples=["percona.heartbeat"])]
    """Its name on the leader; followers have it under the same, or in their default schema. Never compared."""
    column: Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")] = "ts"
    """The time: a timestamp, its ISO text, or seconds, milliseconds or microseconds since the epoch. The newest row
    counts. A time without a zone must be of the same zone on all servers."""
    where: Condition | None = None
    """An SQL condition, where several servers write their time into the table: `server_id = 1`."""
    followers: tuple[Name, ...] = ()
    """Followers whose lag is told by it. Empty: all that tell no position in the leader's log."""
