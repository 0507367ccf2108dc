"""Where downloads are kept: outside the repository, shared by all clones of one user."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from verifier.errors import Permanent


class NotInstalled(Permanent):
    """Something the stack needs is neither here nor can be fetched."""


def cache_root() -> Path:
    """`$TRUEUP_CACHE`, or `trueup` below `$XDG_CACHE_HOME`, or `~/.cache/trueup`."""
    named = os.environ.get("TRUEUP_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "trueup"


@contextmanager
def alone(name: str) -> Iterator[Path]:
    """The cache folder `name`, while no other process downloads into it."""
    folder = cache_root() / name
    folder.mkdir(parents=True, exist_ok=True)
    with (cache_root() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


def maven(words: Sequence[str], purpose: str) -> None:
    """Run Maven, with the user's own settings; raises `NotInstalled` with the heart of what it said."""
    program = shutil.which("mvn")
    if program is None:
        raise NotInstalled(f"no mvn on the path, needed for {purpose}; do: apt-get install maven")
    # -B and no colour: its output is quoted in the error.
    command = [program, "-q", "-B", "-Dstyle.color=never", *words]
    done = subprocess.run(command, cwd=cache_root(), capture_output=True, text=True, timeout=900, check=False)
    if done.returncode != 0:
        said = [line for line in (done.stdout + done.stderr).splitlines() if "ERROR" in line][:3]
        raise NotInstalled(f"maven could not fetch {purpose}: {' | '.join(said) or done.stderr[-500:]}")
