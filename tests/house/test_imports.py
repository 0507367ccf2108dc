"""Imports go down the storeys only; the contracts are the sentences in .importlinter."""

from __future__ import annotations

import configparser
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_import_contracts_hold() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_no_engine_and_no_stream_is_left_out_of_the_contract() -> None:
    contracts = configparser.ConfigParser()
    contracts.read(ROOT / ".importlinter")
    listed = contracts["importlinter:contract:adapters"]["modules"].split()
    rooms = [f"connectors.{path.parent.name}" for path in (ROOT / "connectors").glob("*/__init__.py")]
    assert listed == sorted(rooms)
