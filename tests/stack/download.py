"""`python -m stack.download [kafka] [postgres] [mysql]`: fetch everything the tests need, once."""

from __future__ import annotations

import hashlib
import shutil
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from stack.cache import alone, maven
from stack.mysql_packed import VERSION, fetch_mysql
from stack.packed_postgres import PACKED, fetch

_POMS = [Path(__file__).with_name(name) for name in ("pom.xml", "converter.xml")]
# Connect finds plugins by what their jars declare; this one declares nothing, and looking into every class of every
# plugin instead takes longer than everything else.
_CONVERTER = "io.apicurio.registry.utils.converter.AvroConverter"


@dataclass(frozen=True, slots=True)
class Jars:
    """`libs` holds the classes of broker and Connect; `plugins` a folder per connector and one for the Avro converter;
    `registry` the schema registry."""

    libs: Path
    plugins: Path
    registry: Path


def kafka_jars(*, download: bool = True) -> Jars | None:
    """The jars of both poms, fetched when these poms' are not there yet; None if they are not and `download` is
    False."""
    with alone("kafka") as cache:
        # One folder per content of the poms: an update never mixes two versions on one class path.
        home = cache / hashlib.sha256(b"".join(pom.read_bytes() for pom in _POMS)).hexdigest()[:12]
        if not home.is_dir():
            if not download:
                return None
            half = home.with_suffix(".part")
            shutil.rmtree(half, ignore_errors=True)
            for pom in _POMS:
                maven([f"-Dcache={half}", "-f", str(pom), "package"], "kafka, debezium and the schema registry")
            _declare(half / "plugins" / "apicurio-converter")
            half.rename(home)
        return Jars(home / "libs", home / "plugins", home / "registry")


def _declare(plugin: Path) -> None:
    with zipfile.ZipFile(plugin / "declaration.jar", "w") as jar:
        jar.writestr("META-INF/services/org.apache.kafka.connect.storage.Converter", f"{_CONVERTER}\n")


def main(wanted: list[str]) -> None:
    if "kafka" in wanted or not wanted:
        print(f"kafka, debezium and registry: {kafka_jars()}", file=sys.stderr)
    if "postgres" in wanted or not wanted:
        for version in PACKED:
            print(f"postgresql {version}: {fetch(version)}", file=sys.stderr)
    if "mysql" in wanted or not wanted:
        print(f"mysql {VERSION}: {fetch_mysql()}", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])
