"""Writes what follows from the models, JSON Schema and reference page: `python -m config.generate [--check]`."""

from __future__ import annotations

import sys
from pathlib import Path

from config import reference
from config.schema import FILE
from config.schema import text as schema_text

PAGE = Path(__file__).parent.parent / "docs" / "configuration.md"


def generated() -> dict[Path, str]:
    """The contents that each generated file must have."""
    return {FILE: schema_text(), PAGE: reference.page()}


def stale() -> list[Path]:
    """Generated files that are missing or not current."""
    return [
        file for file, text in generated().items() if not file.is_file() or file.read_text(encoding="utf-8") != text
    ]


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit("not current: " + ", ".join(str(file) for file in stale()) if stale() else 0)
    for file, text in generated().items():
        file.write_text(text, encoding="utf-8")
