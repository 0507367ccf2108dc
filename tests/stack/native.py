"""Broker and Connect together, and what a test asks of them."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psycopg

from connectors.embedded import Cluster
from stack.debezium import postgres_connector
from stack.download import Jars
from stack.kafka import Broker, Connect
from verifier.errors import Temporary

_numbers = itertools.count(1)


class KafkaStack:
    """A running broker and a running Connect worker below `home`."""

    def __init__(
        self, home: Path, jars: Jars, *, broker_port: int | None = None, connect_port: int | None = None
    ) -> None:
        self.broker = Broker(home / "broker", jars, port=broker_port)
        self.connect = Connect(home / "connect", jars, self.broker.bootstrap, port=connect_port)
        self._leaders: dict[str, tuple[Cluster, str]] = {}

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

    def prefix(self) -> str:
        """A topic prefix (and connector name) that nobody used in this stack."""
        return f"c{next(_numbers)}"

    def capture(
        self,
        leader: Cluster,
        database: str,
        tables: Sequence[str],
        *,
        prefix: str | None = None,
        signals: bool = False,
        more: Mapping[str, str] | None = None,
    ) -> str:
        """Register a connector for `tables` (`schema.table`) and wait until it runs; returns its name, which is the
        prefix of its topics. `more` settings win over the usual ones."""
        name = prefix or self.prefix()
        config = postgres_connector(leader, database, prefix=name, tables=tables, signals=signals)
        self._leaders[name] = (leader, database)
        self.connect.rest.register(name, {**config, **(more or {})})
        return name

    def adopt(self, name: str, leader: Cluster, database: str) -> None:
        """A connector that somebody else registers, its slot and publication named `dbz_name`: released like ours."""
        self._leaders[name] = (leader, database)

    def release(self, name: str) -> None:
        """Delete a connector, and its slot and publication on the leader."""
        with contextlib.suppress(Temporary):
            self.connect.rest.delete(name)
        leader, database = self._leaders.pop(name)
        plain = f"dbz_{name}"
        active = "select active_pid from pg_replication_slots where slot_name = %s and active"
        drop = "select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = %s"

        patient = time.monotonic() + 10.0

        def dropped() -> bool:
            """A connector that is being deleted lets go of its slot by itself; one whose connection is ended under it
            takes its slot, or makes it, once more. So it is ended only when it stays."""
            if held := leader.sql(active, (plain,)):
                if time.monotonic() > patient:
                    leader.sql("select pg_terminate_backend(%s)", held[0])
                return False
            try:
                leader.sql(drop, (plain,))
            except psycopg.errors.ObjectInUse:
                return False
            return True

        _until(dropped)
        leader.sql(f'drop publication if exists "{plain}"', database=database)

    def release_all(self) -> None:
        for name in list(self._leaders):
            self.release(name)


def _until(done: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise Temporary(f"a replication slot stays in use for {seconds:g} s")
        time.sleep(0.05)
