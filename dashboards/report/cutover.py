"""The sign-off page of a cutover: what the headline says, and the checklist by server, the leader first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Headline = tuple[str, str, str]


def headline(report: Mapping[str, Any], usual: Headline) -> Headline:
    """Sign, short word and sentence. Where a cutover was asked for, its answer; rows may well be equal on a no-go."""
    cutover = report.get("cutover")
    if cutover is None:
        return usual
    failed = sum(check["result"] == "fail" for check in cutover["checks"])
    unknown = sum(check["result"] == "unknown" for check in cutover["checks"])
    told = [f"{failed} failed" if failed else "", f"{unknown} not proven" if unknown else ""]
    words = ", ".join(filter(None, told))
    return usual[0], usual[1], f"Cutover: {cutover['verdict']}{f' ({words})' if words else ''}"


def by_server(report: Mapping[str, Any]) -> list[tuple[str, Sequence[Mapping[str, Any]]]]:
    """The checks of each server in the order in which they were made."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for check in report["cutover"]["checks"]:
        found.setdefault(check["on"], []).append(check)
    return list(found.items())
