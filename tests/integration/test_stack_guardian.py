"""However the starter ends, its servers end too and their files go; and a locked-away installation still runs."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures.servers import binaries_of

from connectors.embedded import Cluster, Workspace, guardian
from connectors.embedded.cluster import free_port
from verifier.errors import Permanent

pytestmark = pytest.mark.postgres

_STARTER = """
import signal, sys, time
# Ignored, where the tests run in a shell's background, or behind nohup.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
from connectors.embedded import Cluster, Workspace, find_binaries
workspace = Workspace()
server = Cluster.create(workspace, "orphan", find_binaries(15))
print(workspace.path, flush=True)
if sys.argv[1] == "raise":
    raise RuntimeError("the starter fails")
if sys.argv[1] == "return":
    sys.exit(0)
time.sleep(600)
"""


@pytest.mark.parametrize("ending", ["return", "raise", "SIGINT", "SIGTERM", "SIGHUP", "SIGKILL"])
def test_nothing_outlives_the_starter(ending: str) -> None:
    binaries_of(15)
    # A session of its own, as a terminal gives: SIGINT goes to the whole group there.
    starter = subprocess.Popen(
        [sys.executable, "-c", _STARTER, ending],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    assert starter.stdout is not None
    with starter, starter.stdout as output:
        workspace = Path(output.readline().strip())
        if ending.startswith("SIG"):
            assert guardian.running(workspace / "orphan" / "postmaster.pid") is not None
            os.killpg(starter.pid, getattr(signal, ending))
        starter.wait(60)
    deadline = time.monotonic() + 60
    while workspace.exists() or _processes(workspace):
        assert time.monotonic() < deadline, f"left behind: {workspace}, processes {_processes(workspace)}"
        time.sleep(0.05)


def _processes(folder: Path) -> list[str]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes()
        except OSError:
            continue  # it ended meanwhile
        if os.fsencode(folder) in words:
            found.append(words.replace(b"\0", b" ").decode())
    return found


@pytest.fixture
def locked_away() -> Iterator[Path]:
    """A folder that only its owner may enter, like a home directory."""
    with tempfile.TemporaryDirectory(prefix="trueup-locked-") as folder:
        yield Path(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands servers to another account")
def test_programs_below_a_private_home_are_copied_for_the_account(locked_away: Path) -> None:
    wheel = binaries_of(18)
    package = wheel.bin.parent.parent
    home = locked_away / package.name
    shutil.copytree(wheel.bin.parent, home / wheel.bin.parent.name, symlinks=True)
    libraries = package.parent / f"{package.name}.libs"
    shutil.copytree(libraries, locked_away / libraries.name, symlinks=True)
    with Workspace() as workspace:
        server = Cluster.create(workspace, "copied", type(wheel)(18, home / wheel.bin.parent.name / "bin", "wheel"))
        assert server.binaries.bin.is_relative_to(workspace.path)
        assert server.sql("select 1") == [(1,)]


def test_a_server_that_cannot_start_says_why() -> None:
    why = r'did not start: .*unrecognized configuration parameter "no_such_setting"'
    with Workspace() as workspace, pytest.raises(Permanent, match=why):
        Cluster.create(workspace, "broken", binaries_of(15), settings={"no_such_setting": "on"})


def test_a_taken_port_is_left_to_its_owner() -> None:
    with Workspace() as workspace:
        first = Cluster.create(workspace, "first", binaries_of(15))
        second = Cluster.create(workspace, "second", binaries_of(15))
        second.stop()
        second.port = first.port
        second.start(move=True)
        assert (second.port == first.port, second.sql("select 1")) == (False, [(1,)])
        assert free_port() not in {first.port, second.port}
