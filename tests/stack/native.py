"""Broker and Connect together, and what a test asks of them."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from connectors.embedded import Cluster
from stack.debezium import Source, jdbc_sink, source_of
from stack.download import Jars
from stack.kafka import Broker, Connect
from stack.mysql_servers import MysqlServer
from verifier.errors import Temporary

_numbers = itertools.count(1)


class KafkaStack:
    """A running broker and a running Connect worker below `home`."""

    def __init__(
        self, home: Path, jars: Jars, *, broker_port: int | None = None, connect_port: int | None = None
    ) -> None:
        self.broker = Broker(home / "broker", jars, port=broker_port)
        self.connect = Connect(home / "connect", jars, self.broker.bootstrap, port=connect_port)
        self._sources: dict[str, Source | None] = {}

    @property
    def bootstrap(self) -> str:
        """`host:port` for Kafka clients."""
        return self.broker.bootstrap

    @property
    def connect_url(self) -> str:
        return self.connect.url

    def start(self) -> None:
        """Both at once: the worker is patient with a broker that is not there yet, and seconds are saved."""
        self.connect.start()
        self.broker.start()

    def wait(self) -> None:
        self.broker.wait()
        self.connect.wait()

    def stop(self) -> None:
        self.connect.server.stop()
        self.broker.server.stop()

    def crash(self, part: str, connectors: Sequence[str], away: float = 0.5) -> None:
        """Kill the `broker` or the `worker`, start it again after so many seconds, and wait until these run."""
        server = self.broker if part == "broker" else self.connect
        server.server.kill()
        time.sleep(away)
        server.start()
        server.wait()
        for name in connectors:
            self.connect.rest.wait_running(name, 120)

    def prefix(self) -> str:
        """A topic prefix (and connector name) that nobody used in this stack."""
        return f"c{next(_numbers)}"

    def capture(
        self,
        leader: Cluster | MysqlServer,
        database: str,
        tables: Sequence[str],
        *,
        prefix: str | None = None,
        signals: bool = False,
        more: Mapping[str, str] | None = None,
    ) -> str:
        """Register a connector for `tables` (`schema.table`, of MariaDB and MySQL `database.table`) and wait until it
        runs; returns its name, which is the prefix of its topics. `more` settings win over the usual ones: other modes,
        `with_schemas()`, `avro(registry)`."""
        name = prefix or self.prefix()
        source = source_of(leader, database)
        config = source.connector(name, tables, self.bootstrap, signals=signals)
        self._sources[name] = source
        self.connect.rest.register(name, {**config, **(more or {})})
        return name

    def deliver(
        self,
        topics: Sequence[str],
        follower: Cluster | MysqlServer,
        database: str,
        *,
        name: str | None = None,
        more: Mapping[str, str] | None = None,
    ) -> str:
        """Register a JDBC sink that applies these topics of a connector `with_schemas()` to `database` of `follower`,
        whose tables exist, and wait until it runs; returns its name. For topics in Avro: `more=avro(registry)`."""
        name = name or f"{self.prefix()}-sink"
        self._sources[name] = None
        self.connect.rest.register(name, {**jdbc_sink(topics, follower, database), **(more or {})})
        return name

    def adopt(self, name: str, leader: Cluster | MysqlServer, database: str) -> None:
        """A connector that somebody else registers, its slot and publication named `dbz_name`: released like ours."""
        self._sources[name] = source_of(leader, database)

    def release(self, name: str) -> None:
        """Delete a connector, and its slot and publication on the leader."""
        with contextlib.suppress(Temporary):
            self.connect.rest.delete(name)
        source = self._sources.pop(name)
        if source is not None:
            source.clean(name)

    def release_all(self) -> None:
        """Sinks before their sources."""
        for name in reversed(list(self._sources)):
            self.release(name)
