"""The journal that a command is about: named by itself, or by the configuration."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from connectors.journal.opening import Journal, open_journal
from trueup.bootstrap.groups import chosen
from trueup.bootstrap.masking import masking_of, open_masking
from verifier.errors import Misconfigured, Permanent, Temporary
from verifier.journal import Pause

if TYPE_CHECKING:
    from config.settings import Group, Settings
    from reconciler.masking import Masking

AUDIT_GROUP = "audit"
"""The group of audits that were started without a configuration."""

AUDIT_JOURNAL = "trueup.db"
"""Their journal, in the folder where they were started, unless another was named."""


@contextmanager
def opened(config: Path | None, group: str | None, journal: str | None) -> Iterator[Journal]:
    """Open for the block. Where nothing is configured and nothing named, it is the one that audits leave behind.
    Misconfigured if there is no such journal: a question must not make one."""
    with opened_masked(config, group, journal) as (found, _):
        yield found


@contextmanager
def opened_masked(
    config: Path | None, group: str | None, journal: str | None
) -> Iterator[tuple[Journal, Callable[[], Masking]]]:
    """The same, and what hides what the configuration masks: findings that were made before it did so hold values.
    Beside a journal that is named the configuration that is named or found tells masks alone, those of all its
    groups; whoever asks for them gets Misconfigured if it cannot be read: nobody would know what is secret."""
    columns: Mapping[str, Sequence[str]] | None = None
    if journal is None and config is None and not configured() and Path(AUDIT_JOURNAL).exists():
        journal = AUDIT_JOURNAL
    if journal is None:
        settings, wanted = chosen(config, group)
        target, name, columns = settings.journal.address(), wanted.name, wanted.tables.mask_columns
    else:
        target, name = journal, group or AUDIT_GROUP
    existing(target)
    found = open_journal(target, name)
    try:
        yield found, lambda: masking_of(_masked_anywhere(config) if columns is None else columns, found)
    finally:
        found.close()


def _masked_anywhere(config: Path | None) -> dict[str, list[str]]:
    """The columns that any group of the configuration masks, by table; none where there is no configuration."""
    if config is None and not configured():
        return {}
    from config.load import load

    columns: dict[str, list[str]] = {}
    for group in load(config).groups:
        for table, names in group.tables.mask_columns.items():
            columns.setdefault(table, []).extend(names)
    return columns


def configured() -> bool:
    """Whether a configuration file is named, or lies in one of the usual places."""
    from config.load import find

    if os.environ.get("TRUEUP_CONFIG"):
        return True
    try:
        find()
    except Misconfigured:
        return False
    return True


def known_pauses(settings: Settings, group: Group) -> list[Pause]:
    """What is paused in the configured group; nothing if its journal does not exist yet or cannot be read."""
    target = settings.journal.address()
    try:
        existing(target)
        found = open_journal(target, group.name)
    except (Temporary, Permanent):
        return []
    try:
        return list(found.pauses.paused())
    finally:
        found.close()


def known_masking(settings: Settings, group: Group) -> Masking:
    """What the configured group masks, by its journal's secret; by one that is forgotten again if its journal does not
    exist yet or cannot be read."""
    target = settings.journal.address()
    try:
        existing(target)
        return open_masking(group.tables.mask_columns, target, group.name)
    except (Temporary, Permanent):
        return masking_of(group.tables.mask_columns, None)


def existing(target: str | Path) -> None:
    """Misconfigured if the journal is a file that does not exist."""
    path = str(target).removeprefix("sqlite:///")
    if "://" not in path and not Path(path).exists():
        raise Misconfigured(f"there is no journal at {path} yet; run an audit or the daemon first")
