"""Many tables described at once: an audit of thousands would ask the catalogue a handful of questions about each.

Whoever will ask about tables in turn says so (`expect`); the first of them is then asked about together with those that
follow it. Each answer is given once, and only for a few seconds: what is told of a table was read just before.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Generic, TypeVar

from connectors.postgres import catalog, positions
from connectors.postgres.features import features_of_all
from connectors.postgres.session import Session, Sessions
from verifier.errors import Permanent, Temporary
from verifier.features import Feature
from verifier.look import Role
from verifier.table import Table, TableName

T = TypeVar("T")

PAGE = 100
_FRESH_SECONDS = 5.0


@dataclass(slots=True)
class Ahead(Generic[T]):
    """Answers by table. `ask` asks about all of them in one go; an answer may be the error that belongs to its table.
    For several threads."""

    ask: Callable[[Sequence[TableName]], dict[TableName, T | Permanent | Temporary]]
    _expected: Sequence[TableName] = ()
    _places: dict[TableName, int] = field(default_factory=dict)
    _answers: dict[TableName, T | Permanent | Temporary] = field(default_factory=dict)
    _at: float = 0.0
    _lock: Lock = field(default_factory=Lock)

    def expect(self, names: Sequence[TableName]) -> None:
        """These will be asked for, about in this order."""
        with self._lock:
            self._expected, self._answers = names, {}
            self._places = {name: place for place, name in enumerate(names)}

    def of(self, name: TableName) -> T:
        """What `ask` tells of the table; its error is raised."""
        with self._lock:
            if time.monotonic() - self._at > _FRESH_SECONDS:
                self._answers = {}
            if name not in self._answers:
                place = self._places.get(name)
                names = [name] if place is None else self._expected[place : place + PAGE]
                began = time.monotonic()
                answers = self.ask(names)
                if place is not None:
                    self._answers, self._at = answers, began
                found = answers.pop(name)
            else:
                found = self._answers.pop(name)
        if isinstance(found, Permanent | Temporary):
            raise found
        return found


def tables_ahead(sessions: Sessions, role: Callable[[Session], Role]) -> Ahead[Table]:
    """Descriptions; Temporary of a table that a subscriber still copies for the first time."""

    def ask(names: Sequence[TableName]) -> dict[TableName, Table | Permanent | Temporary]:
        with sessions.borrow(f"describing {_named(names)}") as session:
            found = catalog.describe_all(session, names, sessions.where)
            if role(session) is not Role.SUBSCRIBER:
                return found
            quoted = [f"{sessions.quote(one.schema)}.{sessions.quote(one.name)}".replace("%%", "%") for one in names]
            for (place,) in session.all(positions.COPYING, (quoted,)):
                name = names[place - 1]
                found[name] = Temporary(f"the first copy of {name} to {sessions.where} is still running; wait for it")
            return found

    return Ahead(ask)


def features_ahead(sessions: Sessions) -> Ahead[Sequence[Feature]]:
    """What tables have beside their columns."""

    def ask(names: Sequence[TableName]) -> dict[TableName, Sequence[Feature] | Permanent | Temporary]:
        with sessions.borrow(f"reading indexes, constraints and sequences of {_named(names)}") as session:
            return {**features_of_all(session, names, sessions.quote)}

    return Ahead(ask)


def _named(names: Sequence[TableName]) -> str:
    return str(names[0]) if len(names) == 1 else f"{names[0]} and {len(names) - 1} more tables"
