"""`python -m bench [speed|detect|cost ...]`: measure, print, and write docs/benchmarks.md."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime

from bench import machine, page, speed

PARTS = ("speed",)


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("part", nargs="*", choices=[*PARTS, []], help="what to measure (default: everything)")
    parser.add_argument("--rows", type=int, default=3_000_000, help="rows of the audited table")
    parser.add_argument("--rounds", type=int, default=3, help="how often the audited and their rivals take turns")
    parser.add_argument("--dry", action="store_true", help="print only, leave the page alone")
    told = parser.parse_args(words)
    for part in told.part or PARTS:
        text = _speed(told.rows, told.rounds)
        print(f"\n## {part}\n{text}")
        if not told.dry:
            page.replace(part, text)
    return 0


def _when(load_before: str) -> str:
    at = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return f"Measured {at} on {machine.shape()}; load average {load_before} before, {machine.load()} after."


def _speed(rows: int, rounds: int) -> str:
    before = machine.load()
    equal, spoiled, remarks = speed.bench(rows, rounds)
    return "\n\n".join([
        f"{rows:,} rows x 10 columns, two PostgreSQL 15 servers on the same machine, fsync off, all cached. {remarks}.",
        "Equal tables:", page.series_table(equal, "reladiff"),
        f"{speed.SPOILED:,} rows differ, evenly spread, all listed:", page.series_table(spoiled, "reladiff"),
        _when(before),
    ])  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
