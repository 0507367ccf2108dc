"""How long `python -m stack up` takes, by its own word, once everything it starts was read from disk before."""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HEADER = ("what runs then", "ready after, median s", "least-most", "whole command, median s", "runs")
_TESTS = Path(__file__).resolve().parents[1]
_READY = re.compile(r"^ready in ([\d.]+) s", re.MULTILINE)


def bench(rounds: int) -> list[list[str]]:
    """The one row of the table; a first start, which fills the caches, does not count. AssertionError if it does not
    come up whole."""
    runs = [_up() for _ in range(rounds + 1)][1:]
    names = runs[0][0]
    ready, whole = [run[1] for run in runs], [run[2] for run in runs]
    return [[
        ", ".join(names), f"{statistics.median(ready):.1f}", f"{min(ready):.1f}-{max(ready):.1f}",
        f"{statistics.median(whole):.1f}", str(len(runs)),
    ]]  # fmt: skip


def _up() -> tuple[list[str], float, float]:
    """The servers, the seconds that `up` told, and those of the whole command."""
    # Not in a folder of ours alone: PostgreSQL's account must be able to enter it.
    with tempfile.TemporaryDirectory(prefix="trueup-bench-stack-") as outer:
        Path(outer).chmod(0o755)
        environment = {**os.environ, "TRUEUP_STACK": str(Path(outer) / "stack"), "PYTHONPATH": str(_TESTS)}

        def stack(what: str) -> str:
            command = [sys.executable, "-m", "stack", what]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
            assert done.returncode == 0, done.stderr
            return done.stdout

        began = time.monotonic()
        try:
            told = stack("up")
            whole = time.monotonic() - began
        finally:
            stack("down")
    ready = _READY.search(told)
    assert ready is not None, told
    servers = [words[0] for line in told.splitlines() if (words := line.split())[1:2] == ["up"]]
    assert " DOWN " not in told, told
    return servers, float(ready[1]), whole
