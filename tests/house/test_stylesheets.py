"""A stylesheet that was merged badly still loads: a brace too many ends a rule for print on the screen."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHEETS = sorted((ROOT / "dashboards").rglob("*.css"))


@pytest.mark.parametrize("sheet", SHEETS, ids=lambda sheet: sheet.name)
def test_every_brace_has_its_partner(sheet: Path) -> None:
    depth = 0
    for number, line in enumerate(sheet.read_text().splitlines(), 1):
        for sign in line:
            depth += (sign == "{") - (sign == "}")
            assert depth >= 0, f"{sheet.name}:{number} closes what was never opened"
    assert depth == 0


@pytest.mark.parametrize("sheet", SHEETS, ids=lambda sheet: sheet.name)
def test_no_rule_stands_there_twice(sheet: Path) -> None:
    lines = Counter(line for line in sheet.read_text().splitlines() if "{" in line and "}" in line)
    assert [line for line, times in lines.items() if times > 1] == []


def test_the_report_has_a_stylesheet() -> None:
    assert [sheet.name for sheet in SHEETS] == ["audit.css"]
