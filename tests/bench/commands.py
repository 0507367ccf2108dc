"""How long commands take that ask nobody, and the demo, each a whole process of the console script."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.machine import Series, run

HEADER = ("command", "wall s, median", "least-most", "its CPU s", "runs")
_PROGRAM = str(Path(sys.executable).with_name("trueup"))
_HELP = ("--help", "--version", "audit --help")
_EACH = 11


def bench(rounds: int) -> list[list[str]]:
    """A row for each; a first start, which compiles the modules, does not count. AssertionError if one fails."""
    found = [_row(_series(words.split(), _EACH)) for words in _HELP]
    with tempfile.TemporaryDirectory(prefix="trueup-bench-demo-") as place:
        Path(place).chmod(0o755)  # the servers' account must be able to enter it
        return [*found, _row(_series(["demo", "--output", f"{place}/out"], rounds))]


def _series(words: Sequence[str], runs: int) -> Series:
    series = Series(f"`trueup {' '.join(words[:2]) if words[0] != 'demo' else 'demo'}`")
    with tempfile.TemporaryDirectory() as place:
        for _ in range(runs + 1):
            used = run([_PROGRAM, *words], (), Path(place))
            assert used.code == 0, used.output[-3000:]
            series.runs.append(used)
    series.runs.pop(0)
    return series


def _row(series: Series) -> list[str]:
    walls = [one.seconds for one in series.runs]
    spread = f"{min(walls):.2f}-{max(walls):.2f}"
    cpu = f"{series.median('cpu'):.2f}"
    return [series.name, f"{series.median('seconds'):.2f}", spread, cpu, str(len(walls))]
