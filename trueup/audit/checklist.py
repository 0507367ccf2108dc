"""The checklist of a cutover for a terminal: one line per check, and under what did not pass what to do about it. And
what part of a restored backup is proven."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from trueup.audit.progress import visible

_MARKS = {
    "pass": ("ok", "green"),
    "warning": ("warn", "yellow"),
    "fail": ("FAIL", "bold red"),
    "unknown": ("?", "yellow"),
}
_VERDICTS = {"go": "bold green", "no-go": "bold red"}


def checklist(report: dict[str, Any], console: Console) -> None:
    """Write what the report has of either."""
    cutover, restore = report.get("cutover"), report.get("restore")
    if restore is not None:
        stands = "which has not moved since" if restore["leader_stands"] else "which went on since"
        words = f"backup against the leader at {restore['position']}, {stands}: {restore['proven']}"
        console.print(visible(words), soft_wrap=True)
    if cutover is None:
        return
    still = cutover["still"]
    where = f" at {still['position']}" if still["position"] else ""
    console.print(f"\ncutover checklist, leader watched from {still['from']} to {still['to']}{where}")
    width = max((len(check["on"]) for check in cutover["checks"]), default=0)
    for check in cutover["checks"]:
        mark, style = _MARKS[check["result"]]
        line = Text("  ").append(f"{mark:<4}", style=style).append(f"  {visible(check['on']):<{width}}  ")
        console.print(line.append(visible(f"{check['what']}: {check['detail']}")), soft_wrap=True)
        if check["todo"]:
            console.print(Text(visible(f"        {'':<{width}}  -> {check['todo']}")), soft_wrap=True)
    console.print(Text("cutover: ").append(cutover["verdict"], style=_VERDICTS[cutover["verdict"]]))
