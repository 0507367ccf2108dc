"""Leases with fencing tokens: who may act for the group.

A lease is taken for a time and must be renewed. Each taking has a higher token than any before it; a holder that slept
past its end finds its token outdated (`Journal.fence` makes every write check that). Times are the callers' clocks:
choose a time to live far above the difference between two machines' clocks.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, select, update

from connectors.journal import tables
from connectors.journal.store import Store

_COLUMNS = tables.leases.c


@dataclass(frozen=True, slots=True)
class Lease:
    """Who holds it, under which token, and until when (seconds since the epoch)."""

    name: str
    owner: str
    token: int
    expires_at: float


class SqlLeases:
    """The group's leases, by name."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def acquire(self, name: str, owner: str, ttl: float, now: float) -> int | None:
        """A new token if nobody else holds the lease at `now`, else None. An owner may take its own lease again and
        gets a new token. `ttl` is seconds."""
        ours = and_(_COLUMNS.group_name == self._store.group, _COLUMNS.name == name)
        with self._store.write(fenced=False) as connection:
            row = connection.execute(select(tables.leases).where(ours)).first()
            if row is not None and row.owner not in ("", owner) and row.expires_at > now:
                return None
            token = 1 if row is None else int(row.token) + 1
            taken = {
                "group_name": self._store.group,
                "name": name,
                "owner": owner,
                "token": token,
                "expires_at": now + ttl,
            }
            self._store.upsert(connection, tables.leases, [taken])
            return token

    def renew(self, name: str, token: int, ttl: float, now: float) -> bool:
        """Hold it until `now + ttl`; False if it was taken over or released. A lease that ran out but that nobody
        took may still be renewed: nothing happened in between."""
        with self._store.write(fenced=False) as connection:
            step = update(tables.leases).where(self._held(name, token)).values(expires_at=now + ttl)
            return connection.execute(step).rowcount == 1

    def release(self, name: str, token: int) -> bool:
        """Give it back at once; False if this token did not hold it. The row stays, so that tokens keep growing."""
        with self._store.write(fenced=False) as connection:
            step = update(tables.leases).where(self._held(name, token)).values(owner="", expires_at=0.0)
            return connection.execute(step).rowcount == 1

    def holder(self, name: str, now: float) -> Lease | None:
        """Who holds it at `now`; None if nobody does."""
        ours = and_(_COLUMNS.group_name == self._store.group, _COLUMNS.name == name)
        with self._store.read() as connection:
            row = connection.execute(select(tables.leases).where(ours)).first()
        if row is None or not row.owner or row.expires_at <= now:
            return None
        return Lease(name, row.owner, row.token, row.expires_at)

    def _held(self, name: str, token: int) -> ColumnElement[bool]:
        return and_(
            _COLUMNS.group_name == self._store.group,
            _COLUMNS.name == name,
            _COLUMNS.token == token,
            _COLUMNS.owner != "",
        )
