"""What a command shall compare: the options that `trueup audit`, `explain` and `recheck` share, as a plan."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trueup.cli.audit_words import Narrowing, of_only, tolerated_of_only
from verifier.errors import Misconfigured

if TYPE_CHECKING:
    from trueup.bootstrap.auditing import Plan


@dataclass(frozen=True, slots=True)
class Words:
    """Options that say what is compared, as they were typed."""

    config: Path | None = None
    group: str | None = None
    leader: str | None = None
    followers: list[str] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)
    excluded: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    journal: str | None = None
    rows_max: int | None = None
    narrowing: Narrowing = field(default_factory=Narrowing)
    masked: list[str] = field(default_factory=list)


def planned(words: Words) -> Plan:
    """The plan that these options, or the configuration they name, describe. Misconfigured if they contradict."""
    from trueup.audit.request import Request, joined
    from trueup.bootstrap.auditing import Plan, plan_of
    from trueup.bootstrap.groups import chosen
    from trueup.bootstrap.servers import HEARTBEAT_TABLE, Address, patterns_of

    excluded = _by_table("--exclude", of_only(words.tables, words.excluded, "."))
    masked = _by_table("--mask", of_only(words.tables, words.masked, "."))
    keys = {name: tuple(columns.split(",")) for name, columns in map(_pair, of_only(words.tables, words.keys, "="))}
    narrowing = replace(
        words.narrowing,
        columns=of_only(words.tables, words.narrowing.columns, "="),
        tolerate=tolerated_of_only(words.tables, words.narrowing.tolerate),
    )
    if words.leader is not None or words.followers:
        if words.config is not None:
            raise Misconfigured("give either --config or --leader and --follower, not both")
        if words.leader is None or not words.followers:
            raise Misconfigured("an audit without configuration needs --leader URL and at least one --follower URL")
        request = Request(tuple(words.tables) or ("*", f"!*.{HEARTBEAT_TABLE}"), excluded, keys, words.rows_max)
        request = replace(narrowing.applied(request), masked=masked)
        followers = tuple(_address(text, f"follower{i}") for i, text in enumerate(words.followers, 1))
        return Plan("audit", Address("leader", words.leader), followers, request, words.journal or "trueup.db")
    settings, group = chosen(words.config, words.group)
    configured = {**group.tables.exclude_columns, **excluded}
    request = Request(
        tuple(words.tables) or patterns_of(group),
        {name: tuple(columns) for name, columns in configured.items()},
        {**{name: tuple(columns) for name, columns in group.tables.keys.items()}, **keys},
        words.rows_max,
    )
    request = narrowing.applied(request, group.tables)
    request = replace(request, masked=joined(group.tables.mask_columns, masked))
    plan = plan_of(group, words.journal or settings.journal.address(), request)
    if words.journal is None and group.events.kind != "none":  # another journal does not know what was told already
        plan = replace(plan, told_by=settings.instance)
    return plan if words.tables else replace(plan, checked=group)


def _by_table(option: str, words: list[str]) -> dict[str, tuple[str, ...]]:
    """`schema.table.column` texts as columns by table."""
    found: dict[str, tuple[str, ...]] = {}
    for word in words:
        name, dot, column = word.rpartition(".")
        if not dot or "." not in name:
            raise Misconfigured(f"{option} {word!r}: needs schema.table.column")
        found[name] = (*found.get(name, ()), column)
    return found


def _pair(word: str) -> tuple[str, str]:
    name, equals, value = word.partition("=")
    if not equals or not value:
        raise Misconfigured(f"{word!r}: needs schema.table=column,column")
    return name, value


def _address(text: str, default: str) -> Any:
    from trueup.bootstrap.servers import Address

    name, equals, url = text.partition("=")
    if equals and "://" not in name:
        return Address(name, url)
    return Address(default, text)
