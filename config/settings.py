"""The whole configuration, top down: instance, journal, groups."""

from __future__ import annotations

from typing import Annotated, cast

from pydantic import Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from config.address import Address, JournalAddress
from config.heartbeat import Heartbeat
from config.invariant import Invariant
from config.model import Model, Name
from config.policy import Brakes, Events, Http, Lag, Log, Metrics, Repairs, Scan, Verify
from config.replica import Follower, Leader, Tables
from config.secret import Password
from config.stream import Stream
from config.watermark import Watermark


class Journal(Model):
    """trueup's own state. A path means SQLite; a PostgreSQL URL lets several daemons share one."""

    # Validated like a given value, so that the default too is relative to the file's folder.
    url: JournalAddress = Field(default=cast(Address, "trueup.db"), validate_default=True)
    """A path, relative to the configuration file, or `postgresql://user@host:5432/database`."""
    password: Password | None = None
    """`env:NAME` or `file:/path`."""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: object) -> object:
        return {"url": value} if isinstance(value, str) else value

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [{"type": "string", "examples": ["trueup.db"]}, handler.resolve_ref_schema(handler(core))]}

    def address(self) -> str:
        """The SQLAlchemy URL, its password looked up now."""
        return self.url.url(self.password)


class Group(Model):
    """One leader, its followers, its change stream, its tables, invariants and policies."""

    name: Name
    """Unique; a label of every metric."""
    leader: Leader
    """The database that is right by definition."""
    followers: Annotated[tuple[Follower, ...], Field(min_length=1)]
    """The databases that must equal it."""
    tables: Tables = Tables()
    """What is compared."""
    stream: Stream | None = None
    """How changes are followed. Unset: scans only."""
    watermark: Watermark | None = None
    """How followers are judged that tell no position in the leader's log. Unset: only at rest."""
    heartbeat: Heartbeat | None = None
    """From what their lag is told. Unset: from the watermark, if there is one."""
    scan: Scan = Scan()
    """Comparing everything."""
    brakes: Brakes = Brakes()
    """When to hold back."""
    verify: Verify = Verify()
    """Comparing what was touched."""
    lag: Lag = Lag()
    """When lateness is worth telling."""
    invariants: tuple[Invariant, ...] = ()
    """What must always hold."""
    repair: Repairs = Repairs()
    """What is done about proven drift."""
    events: Events = Events()
    """Whom trueup tells."""


class Settings(Model):
    """Everything that one daemon or one audit is told."""

    instance: Name = "default"
    """Tells several daemons apart in logs and leases."""
    journal: Journal = Field(default=cast(Journal, {}), validate_default=True)
    """trueup's own state."""
    http: Http = Http()
    """Metrics and health."""
    log: Log = Log()
    """What is logged."""
    metrics: Metrics = Metrics()
    """Limits of what is exported."""
    groups: Annotated[tuple[Group, ...], Field(min_length=1)]
    """What is kept true."""
