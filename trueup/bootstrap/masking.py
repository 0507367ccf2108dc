"""What is masked, and by which secret: that of the journal, so that equal values look equal from day to day."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.masking import NOTHING_MASKED, Masking
from verifier.table import TableName

if TYPE_CHECKING:
    from connectors.journal.opening import Journal
    from trueup.services.group import TableBook


def open_masking(columns: Mapping[str, Sequence[str]], journal: str | Path, group: str) -> Masking:
    """The columns by table, masked by the secret of this group's journal, which is made where it is not there yet:
    before the journal is opened for good, because the events that it keeps are masked. Errors as from
    `open_journal`."""
    if not columns:
        return NOTHING_MASKED
    from connectors.journal.opening import open_journal

    found = open_journal(journal, group)
    try:
        return masking_of(columns, found)
    finally:
        found.close()


def strangers(book: TableBook) -> list[TableName]:
    """Tables with masked columns that are not among the group's. The leader is asked only where columns are masked."""
    columns = book.masking.columns
    return sorted(columns.keys() - set(book.names())) if columns else []


def masking_of(columns: Mapping[str, Sequence[str]], journal: Journal | None) -> Masking:
    """The same by an open journal. None: by a secret that is forgotten with what is told, and kept nowhere."""
    if not columns:
        return NOTHING_MASKED
    from connectors.journal.salt import mask_salt

    salt = secrets.token_bytes(32) if journal is None else mask_salt(journal.store)
    return Masking({TableName.parse(name): frozenset(names) for name, names in columns.items()}, salt)
