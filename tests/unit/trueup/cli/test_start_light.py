"""`trueup --help` answers at once: it loads what it prints and nothing that asks servers, and so does each `--help`.
An audit of plain URLs whose tables are equal loads nothing that explains, judges or repairs.

What is loaded is what takes the time, and unlike the time it does not depend on the machine.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

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


AUDITED = """
import json, sys
from trueup.cli.main import outcome
code = outcome(["audit", "--leader", sys.argv[1], "--follower", sys.argv[2], "--quiet", "--output", "report.txt"])
print(json.dumps([code, sorted(sys.modules)]))
"""
UNUSED = {
    "config.settings", "connectors.debezium.decoder", "connectors.journal.histories", "connectors.journal.repairs",
    "connectors.journal.stream", "pydantic", "reconciler.ports", "trueup.audit.multiset", "trueup.audit.since",
    "verifier.bracketing", "verifier.cause", "verifier.lag", "verifier.trace", "verifier.watermark", "verifier.window",
}  # fmt: skip


def test_an_audit_of_equal_tables_loads_nothing_that_judges_explains_or_repairs(tmp_path: Path) -> None:
    for name in ("one.db", "other.db"):
        with sqlite3.connect(tmp_path / name) as made:
            made.execute("create table orders (id integer primary key, amount text)")
            made.execute("insert into orders values (1, 'a')")
        made.close()
    urls = [f"sqlite:///{tmp_path / name}" for name in ("one.db", "other.db")]
    done = subprocess.run(
        [sys.executable, "-P", "-c", AUDITED, *urls],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        timeout=60,
    )
    code, loaded = json.loads(done.stdout.splitlines()[-1])
    assert code == 0
    assert sorted(UNUSED & set(loaded)) == []
