"""A row that counts up on the leader and is replicated: a position for followers that tell none."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from config.model import Model, Name, Switch


class Watermark(Model):
    """How followers are judged that do not tell how far they follow: those fed by a pipeline, or of another engine.

    `create table trueup_watermark (id integer not null primary key, tick bigint not null)`, with one row `(1, 0)`, on
    the leader, replicated as the other tables are. See docs/evidence.md."""

    table: Annotated[str, Field(pattern=r"^[^.]+(\.[^.]+)?$", examples=["public.trueup_watermark"])]
    """Its name on the leader; followers have it under the same, or in their default schema. Never compared."""
    write: Switch = False
    """trueup counts it up when it judges rows: one UPDATE of one row, with the leader's login. Off: a job of yours
    does, once a second or so."""
    ordered: Switch = False
    """You vouch that followers show commits in the leader's order and none twice. Off: nothing is proven by the
    watermark, and what differs again and again is probable."""
    followers: tuple[Name, ...] = ()
    """Followers that are judged by it. Empty: all that tell no position in the leader's log."""
