"""The secret by which the masks of a group's values are made.

Random, made when it is first asked for, and the same from then on for whoever opens the journal: equal values look
equal from day to day, and a finding can be compared with the row that is there now. Who may read the journal can try
values until their mask is the same; who is told of a finding cannot.
"""

from __future__ import annotations

import secrets

from sqlalchemy import select, update

from connectors.journal import tables
from connectors.journal.store import Store

_BYTES = 32
_COLUMN = tables.groups.c.mask_salt


def mask_salt(store: Store) -> bytes:
    """32 bytes. Temporary, Forbidden as any write."""
    mine = tables.groups.c.group_name == store.group
    with store.write(fenced=False) as connection:
        known = connection.execute(select(_COLUMN).where(mine)).scalar()
        if known is None:
            known = secrets.token_hex(_BYTES)
            connection.execute(update(tables.groups).where(mine).values(mask_salt=known))
    return bytes.fromhex(known)
