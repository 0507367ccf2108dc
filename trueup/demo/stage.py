"""The stage of the demo: three servers, an open shop, a running daemon, and all of it gone at the end."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from config.load import load
from config.settings import Settings
from connectors.embedded import Cluster, Subscriber, Workspace, find_binaries, standby_of, subscriber_of
from connectors.embedded.cluster import free_port
from trueup.bootstrap.daemon import RunningDaemon, open_daemon
from trueup.bootstrap.group import GroupRuntime
from trueup.demo import damage, settings
from trueup.demo.workload import LOAD, Shop


@dataclass(slots=True)
class Servers:
    leader: Cluster
    standby: Cluster
    subscriber: Subscriber
    version: int
    source: str

    @classmethod
    def start(cls, undo: ExitStack) -> Servers:
        """Started, loaded and replicating when this returns; `undo` stops and removes them."""
        workspace = Workspace()
        undo.callback(workspace.close)
        binaries = find_binaries()
        leader = Cluster.create(workspace, "leader", binaries)
        leader.sql(f"create database {damage.DATABASE}")
        schema = files("trueup.demo").joinpath("schema.sql").read_text()
        leader.sql(schema, database=damage.DATABASE)
        leader.sql(LOAD, database=damage.DATABASE)
        standby = standby_of(leader)
        subscriber = subscriber_of(leader, damage.DATABASE, schema=schema)
        return cls(leader, standby, subscriber, binaries.version, binaries.source)

    def configure(self, folder: Path) -> Settings:
        """A trueup.yaml for these servers, loaded."""
        path = settings.write(
            folder,
            leader=self.leader.url(damage.DATABASE),
            standby=self.standby.url(damage.DATABASE),
            subscriber=self.subscriber.cluster.url(damage.DATABASE),
            port=free_port(),
        )
        return load(path)

    def open_shop(self, undo: ExitStack) -> Shop:
        shop = Shop(self.leader.dsn(damage.DATABASE))
        undo.callback(shop.close)
        shop.open()
        return shop


@dataclass(slots=True)
class Watch:
    """The daemon of the demo; `stop` may be called twice."""

    running: RunningDaemon
    stopped: bool = False

    @classmethod
    def start(cls, wanted: Settings, undo: ExitStack) -> Watch:
        watch = cls(open_daemon(wanted))
        undo.callback(watch.stop)
        watch.running.start()
        return watch

    @property
    def group(self) -> GroupRuntime:
        return self.running.groups[0]

    def stop(self) -> None:
        if not self.stopped:
            self.stopped = True
            self.running.close()

    def faults(self) -> list[str]:
        return self.running.daemon.dead()
