"""`python -m stack.download [kafka] [postgres] [mysql]`: fetch everything the tests need, once."""

from __future__ import annotations

import hashlib
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from stack.cache import alone, maven
from stack.mysql_packed import VERSION, fetch_mysql
from stack.packed_postgres import PACKED, fetch

_POM = Path(__file__).with_name("pom.xml")


@dataclass(frozen=True, slots=True)
class Jars:
    """`libs` holds the classes of broker and Connect; `plugins` one folder per connector."""

    libs: Path
    plugins: Path


def kafka_jars(*, download: bool = True) -> Jars | None:
    """The jars of pom.xml, fetched when this pom's are not there yet; None if they are not and `download` is False."""
    with alone("kafka") as cache:
        # One folder per content of the pom: an update never mixes two versions on one class path.
        home = cache / hashlib.sha256(_POM.read_bytes()).hexdigest()[:12]
        if not home.is_dir():
            if not download:
                return None
            half = home.with_suffix(".part")
            shutil.rmtree(half, ignore_errors=True)
            maven([f"-Dcache={half}", "-f", str(_POM), "package"], "kafka and debezium")
            half.rename(home)
        return Jars(home / "libs", home / "plugins")


def main(wanted: list[str]) -> None:
    if "kafka" in wanted or not wanted:
        print(f"kafka and debezium: {kafka_jars()}", file=sys.stderr)
    if "postgres" in wanted or not wanted:
        for version in PACKED:
            print(f"postgresql {version}: {fetch(version)}", file=sys.stderr)
    if "mysql" in wanted or not wanted:
        print(f"mysql {VERSION}: {fetch_mysql()}", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])
