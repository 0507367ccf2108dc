"""`trueup --help` answers at once: it loads what it prints and nothing that asks servers, and so does each `--help`.

What is loaded is what takes the time, and unlike the time it does not depend on the machine.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

LOADED = """
import json, sys
from trueup.cli.main import outcome
code = outcome(sys.argv[1:])
found = {name.partition(".")[0] for name in sys.modules} - sys.stdlib_module_names
print(json.dumps([code, sorted(name for name in found if not name.startswith("_"))]))
"""
LIGHT = {"trueup", "verifier", "typer", "click", "shellingham", "annotated_doc", "typing_extensions"}
"""Rooms and libraries that may be there before a command is known: ours that import nothing, and the command line's."""


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["audit", "--help"], ["repair", "plan", "--help"]])
def test_help_loads_no_driver_no_settings_and_no_drawing(words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-c", LOADED, *words], capture_output=True, text=True, check=True, timeout=60
    )
    code, loaded = json.loads(done.stdout.splitlines()[-1])
    assert code == 0
    assert {"trueup", "typer"} <= set(loaded)
    assert sorted(set(loaded) - LIGHT) == []
