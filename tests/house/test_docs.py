"""What the documents name exists, and what exists is named: commands, exit codes, log actions, links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

from trueup import exits
from trueup.cli.main import application

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("trueup", "config", "connectors", "dashboards", "reconciler", "verifier")
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def commands() -> Iterator[str]:
    """Every command as it is typed, `repair plan`."""
    top = typer.main.get_command(application())
    for name, command in top.commands.items():  # type: ignore[attr-defined]
        subcommands = getattr(command, "commands", None)
        yield from (f"{name} {sub}" for sub in subcommands) if subcommands else (name,)


@pytest.mark.parametrize("command", sorted(commands()))
def test_every_command_is_in_the_operations_page(command: str) -> None:
    room, _, verb = command.partition(" ")
    assert f"`trueup {room}" in OPERATIONS
    assert not verb or f"`{verb}`" in OPERATIONS or f"`trueup {room} {verb}`" in OPERATIONS


def test_every_exit_code_is_in_the_operations_page() -> None:
    codes = {value for name, value in vars(exits).items() if name.isupper()}
    told = {int(code) for code in re.findall(r"^\| (\d+) \|", OPERATIONS, re.MULTILINE)}
    assert told == codes


def test_every_log_action_is_in_the_operations_page() -> None:
    pattern = re.compile(r'"action": f?"([a-z_]+)')
    source = "\n".join(path.read_text() for room in ROOMS for path in (ROOT / room).rglob("*.py"))
    used = set(pattern.findall(source))
    assert "drift_confirmed" in used
    assert sorted(action for action in used if f"`{action}" not in OPERATIONS) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)]+)\)", document.read_text()):
        if "://" in target or target.startswith("#"):
            continue
        if not (document.parent / target.partition("#")[0]).exists():
            broken.append(target)
    assert broken == []
