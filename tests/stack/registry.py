"""A schema registry (Apicurio, in memory): where Avro converters put the schemas of what they write."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path

from connectors.embedded.cluster import free_port
from stack.download import Jars
from stack.java import JavaServer


class Registry:
    """Listens on 127.0.0.1:`port`; log in `home`. It starts in the time of a small Quarkus program, without broker."""

    def __init__(self, home: Path, jars: Jars, *, port: int | None = None) -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        home.mkdir(parents=True, exist_ok=True)
        (jar,) = jars.registry.glob("apicurio-registry-app-*-runner.jar")
        # `-jar` names the class path by itself.
        self.server = JavaServer(
            home, jars.registry, "-jar", [jar],
            properties={"quarkus.http.host": "127.0.0.1", "quarkus.http.port": self.port, "user.dir": home},
        )  # fmt: skip

    @property
    def confluent_url(self) -> str:
        """Where it speaks as Confluent's registry does: for `SchemaRegistryClient`."""
        return f"{self.url}/apis/ccompat/v7"

    def start(self) -> None:
        """Start; does not wait."""
        self.server.start()

    def wait(self) -> None:
        self.server.wait(self.is_ready)

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.confluent_url}/subjects", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def stop(self) -> None:
        self.server.stop()
