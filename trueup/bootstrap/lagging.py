"""A look at lag without a daemon: positions of the servers, asked a few times over some seconds.

The stream is not read (that is the daemon's, whose slot and offsets it must not touch): of it one learns what the
leader's slot and Kafka Connect tell. Each hop's delay, the changes that a follower lacks and their full age come from
the daemon, if one runs; without one the changes are unknown, and ages are told from when this look began: a lag that is
older shows as at least that old.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from config.settings import Group, Settings
from connectors.postgres.lag import LagReader, Slot
from connectors.postgres.replica import PostgresReplica
from trueup.bootstrap.beating import open_beats
from trueup.bootstrap.fed import fed_lag, fed_names, hindered
from trueup.bootstrap.servers import Address, patterns_of, watermark_of
from trueup.bootstrap.telling import completed, daemon_tells
from trueup.bootstrap.watching import Watched, hindrances, open_watched, retained
from trueup.bootstrap.watermark import Watermarks, open_watermarks
from trueup.clock import SystemClock
from trueup.pool import Pool
from trueup.services.group import GroupWorld, TableBook
from trueup.services.watch import SharedLag, WatchService
from verifier.errors import Permanent, Temporary
from verifier.lag import HopLag, LagState, LagTracker
from verifier.policy import Limits

_EVERY_SECONDS = 0.25
_WATERMARK_SECONDS = 2.0
"""A watermark that is counted up once a second has moved by then."""


@dataclass(slots=True)
class Lagging:
    """Open servers and the tracker that watches them."""

    settings: Settings
    group: Group
    servers: Watched
    watch: WatchService
    pool: Pool
    clock: SystemClock
    marks: Watermarks | None = None

    @classmethod
    def open(cls, settings: Settings, group: Group) -> Lagging:
        """Unreachable or Forbidden if the leader cannot be asked."""
        servers = open_watched(group)
        clock, pool = SystemClock(), Pool(2)
        book = TableBook(servers.leader, servers.followers, patterns_of(group), clock)
        world = GroupWorld(group.name, servers.leader, servers.followers, book, clock, pool.gather, None)
        tracker = LagTracker(interval_seconds=2.0, lagging_above=group.lag.warn, stalled_after=group.lag.stalled)
        watch = WatchService(world, SharedLag(tracker), hindrances=hindered(group, hindrances(servers)))
        watch.lagging_above, watch.stalled_after = group.lag.warn, group.lag.stalled
        watch.watermark_seconds = _WATERMARK_SECONDS
        watch.beats = open_beats(group, servers.leader, servers.followers)
        marks = None
        if (policy := watermark_of(group)) is not None:
            limits = Limits(1, 5, group.scan.statement_timeout, group.scan.lock_timeout)
            leader = Address(group.leader.name, group.leader.address())
            marks = open_watermarks(policy, leader, servers.leader, servers.followers, limits)
            world.placed = marks.placed
        return cls(settings, group, servers, watch, pool, clock, marks)

    def look(self, seconds: float) -> None:
        """Ask everybody again and again for that long."""
        until = self.clock.now() + seconds
        while True:
            self.watch.tick(self.clock.now())
            if self.clock.now() >= until:
                return
            self.clock.sleep(_EVERY_SECONDS)

    def told(self) -> tuple[list[HopLag], dict[str, str]]:
        """Every hop, the stream's first, and what the servers say hinders a follower."""
        told, _ = self.watch.lag.told(self.clock.now())
        fed = fed_lag(self.group)
        followers = [fed.get(lag.hop, lag) for lag in told]
        whys = {lag.hop: self.watch.why(lag.hop) for lag in followers if lag.state is not LagState.CAUGHT_UP}
        for name in self._deleted():
            whys[name] = "; ".join(filter(None, (whys.get(name, ""), "the leader has deleted log that it needs")))
        daemon = daemon_tells(self.settings, self.group.name)
        followers = [completed(lag, daemon, self._uncounted()) for lag in followers]
        hops = daemon.hops if daemon is not None and self.group.stream is not None else ()
        own = [hop for hop in self._stream() if hop.state is not LagState.CAUGHT_UP or hop.hop not in _names(hops)]
        return [*own, *(hop for hop in hops if hop.hop not in _names(own)), *followers], whys

    def _uncounted(self) -> str:
        """Why nobody has counted the changes that a follower lacks."""
        if self.group.stream is None:
            return "they are counted from a change stream, and none is configured"
        host, port = self.settings.http.place()
        return f"the daemon counts them from the stream, and none answers at {host}:{port}"

    def _deleted(self) -> list[str]:
        """Followers that can never catch up, because what they need of the leader's binlog is gone."""
        if isinstance(self.servers.leader, PostgresReplica):
            return []  # slots are told by themselves
        with suppress(Temporary, Permanent):  # then lag itself says who does not answer
            return [
                name for name, kept in retained(self.servers, fed_names(self.group)).items() if kept.status == "lost"
            ]
        return []

    def _stream(self) -> list[HopLag]:
        stream = self.group.stream
        if stream is None:
            return []
        if not isinstance(self.servers.leader, PostgresReplica):  # there are no slots: only the daemon knows
            return self._connector()
        try:
            slots = {slot.name: slot for slot in LagReader(self.servers.leader).slots()}
        except (Temporary, Permanent) as problem:
            return [HopLag("stream", None, None, LagState.UNKNOWN, str(problem))]
        if stream.kind == "pgoutput":
            name = stream.pgoutput.slot if stream.pgoutput else "trueup"
        else:
            name = (stream.kafka.slot if stream.kafka else None) or "debezium"
        slot = slots.get(name)
        if slot is None:
            return [HopLag("stream", None, None, LagState.UNKNOWN, f"the leader has no slot {name!r}")]
        detail = kept_words(slot)
        if slot.lost:
            return [HopLag("stream", None, None, LagState.UNKNOWN, f"slot {name} lost its log: the stream has a gap")]
        if not slot.active:
            return [HopLag("stream", None, None, LagState.UNKNOWN, f"nobody reads slot {name}; {detail}")]
        connector = self._connector()
        if any(hop.state is LagState.UNKNOWN for hop in connector):
            # A paused connector keeps its slot: somebody holds it, and reads nothing.
            return [HopLag("stream", None, None, LagState.UNKNOWN, f"the connector does not run; {detail}"), *connector]
        return [HopLag("stream", 0.0, None, LagState.CAUGHT_UP, detail), *connector]

    def _connector(self) -> list[HopLag]:
        kafka = self.group.stream.kafka if self.group.stream is not None else None
        if kafka is None or kafka.connect_url is None:
            return []
        from connectors.debezium.connect import Connect
        from connectors.debezium.failures import kind

        name = kafka.connector or self.group.name
        try:
            status = Connect(kafka.connect_url).status(name)
        except (Temporary, Permanent) as problem:
            return [HopLag("connector", None, None, LagState.UNKNOWN, str(problem))]
        if not status.running:
            why = kind(status.traces[0]) if status.traces else status.state.lower()
            return [HopLag("connector", None, None, LagState.UNKNOWN, why)]
        return [HopLag("connector", 0.0, None, LagState.CAUGHT_UP, "all its tasks run")]

    def close(self) -> None:
        if self.marks is not None:
            self.marks.close()
        self.servers.close()
        self.pool.close()


def kept_words(slot: Slot) -> str:
    """What the leader keeps for it, and how much it may."""
    if slot.safe_bytes is None or slot.limit_bytes is None:
        return f"slot {slot.name} retains {slot.retained_bytes or 0:,} bytes, without a limit (max_slot_wal_keep_size)"
    return (
        f"slot {slot.name} retains {slot.retained_bytes or 0:,} bytes and is lost after {slot.safe_bytes:,} more "
        f"(max_slot_wal_keep_size: {slot.limit_bytes:,})"
    )


def _names(hops: Iterable[HopLag]) -> frozenset[str]:
    return frozenset(hop.hop for hop in hops)
