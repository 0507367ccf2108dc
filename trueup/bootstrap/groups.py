"""Which group of which configuration a command is about."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from verifier.errors import Misconfigured

if TYPE_CHECKING:
    from config.settings import Group, Settings


def chosen(config: Path | None, name: str | None) -> tuple[Settings, Group]:
    """The settings and the group called `name`, or the only one. Misconfigured, naming the groups there are."""
    from config.load import load

    settings = load(config)
    known = {group.name: group for group in settings.groups}
    if name is None:
        if len(known) == 1:
            return settings, settings.groups[0]
        raise Misconfigured(f"the configuration has the groups {', '.join(known)}; choose one with --group")
    if name not in known:
        raise Misconfigured(f"no group {name!r}; the configuration has {', '.join(known)}")
    return settings, known[name]
