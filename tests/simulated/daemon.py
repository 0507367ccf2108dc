"""trueup's own services over a history and a real journal, ticked in random order, killed and started again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

from connectors.journal.opening import Journal, open_journal
from connectors.memory.identified import IdentifiedStream
from connectors.memory.stream import MemoryStream
from connectors.memory.writing import MemoryRepairSink
from reconciler.events import Announcer
from reconciler.policy import Mode, RepairPolicy
from simulated.faults import Crash, Faults, Faulty
from simulated.history import History
from trueup.services.dirty import DirtyScan
from trueup.services.follow import FollowService
from trueup.services.group import GroupWorld, Service, Sighted, TableBook
from trueup.services.joint import JointLooks
from trueup.services.repair import RepairService
from trueup.services.rounds import Rounds
from trueup.services.scan import Pace, ScanService
from trueup.services.verify import Verified, VerifyService
from verifier.drift import Certainty
from verifier.errors import Permanent, Temporary, Unsound
from verifier.look import Role
from verifier.policy import ScanPolicy, SettlePolicy
from verifier.ports import in_turn
from verifier.table import Key, TableName
from verifier.window import TransactionWindow

GROUP = "shop"


class Daemon:
    """One process after another. `laws` of the run are asserted as it goes; `judged` counts keys by outcome."""

    def __init__(
        self,
        history: History,
        random: Random,
        journal: Path,
        *,
        scans: bool,
        streams: bool,
        repairs: bool,
        crowd: int = 1_000,
    ) -> None:
        self.history = history
        self.random = random
        self.scans, self.streams, self.repairs = scans, streams, repairs
        self.crowd = crowd
        self.faults = Faults(random, history.clock)
        self.path = journal
        self.judged = {"equal": 0, "drift": 0, "unsettled": 0}
        self.crashes = 0
        self.refused = 0
        self._retained = MemoryStream(history.leader)  # what the source remembers outlives our process
        self.journal: Journal | None = None
        self.services: list[Service] = []
        self._mending: dict[str, RepairService] = {}
        self.start()

    def start(self) -> None:
        """A new process: all that is left of the old one is the journal."""
        if self.journal is not None:
            self.journal.close()
        self.journal = open_journal(self.path, GROUP)
        history, faults = self.history, self.faults
        leader: Any = Faulty(history.replica("leader"), faults)
        followers: dict[str, Any] = {name: Faulty(history.replica(name), faults) for name in history.followers}
        book = TableBook(leader, followers, ["*"], history.clock)
        changes_max = self.random.choice((6, 40, 200_000))
        sight = Sighted(TransactionWindow(changes_max=changes_max), list(followers)) if self.streams else None
        world = GroupWorld(GROUP, leader, followers, book, history.clock, in_turn, sight)
        stream_journal: Any = Faulty(self.journal.stream, faults)
        scan_journal: Any = Faulty(self.journal.scans, faults)
        patience = SettlePolicy(wait_first_seconds=0.01, wait_max_seconds=0.2, give_up_seconds=20.0)
        every = self.random.choice((0.0, 0.0, 0.05, 0.3))
        # As ticks take turns nobody meets: who comes second in a round is held against a look older than its own.
        joint = JointLooks(leader, len(followers), meet_seconds=0.0) if every else None
        services: list[Service] = [
            VerifyService(
                world, name, stream_journal, patience,
                hot_after=1, settled=self._settled, rounds=Rounds(every, 0.5), joint=joint,
            )
            for name in followers
        ]  # fmt: skip
        if self.streams:
            stream: Any = Faulty(_Watched(self._stream(), self.journal), faults)
            scanned: Any = Faulty(self.journal.scans, faults) if self.scans else None
            services.append(
                FollowService(world, stream, stream_journal, poll_seconds=0.0, changes_max=20, scans=scanned)
            )
        if self.scans:
            pace = Pace(period_seconds=1.0, rest=0.0)
            policy = ScanPolicy(rows_first=4, rows_min=2, rows_max=8, packed_max=3)
            drifts: Any = Faulty(self.journal.drifts, faults)
            scan = ScanService(world, scan_journal, stream_journal, policy, pace, drifts=drifts)
            dirty_journal: Any = Faulty(self.journal.dirty, faults)
            scan.dirty = DirtyScan(world, dirty_journal, stream_journal, policy, rest=0.0)
            self.journal.stream.crowds.limit = self.crowd
            services.append(scan)
        self._mending = {}
        if self.repairs:
            self._mending = {name: self._repair(world, name) for name in followers}
        self.services = [*services, *self._mending.values()]

    def _repair(self, world: GroupWorld, name: str) -> RepairService:
        assert self.journal is not None
        follower = self.history.followers[name]
        sink: Any = None
        if follower.role is Role.SUBSCRIBER:
            sink = Faulty(MemoryRepairSink(follower, happen=self.history.happen), self.faults)
        policy = RepairPolicy(mode=Mode.APPLY, dry_run=False)
        journal, faults = self.journal, self.faults
        drifts: Any = Faulty(journal.drifts, faults)
        repairs: Any = Faulty(journal.repairs, faults)
        stream: Any = Faulty(journal.stream, faults)
        return RepairService(world, name, drifts, repairs, stream, Announcer("test", GROUP), policy, sink)

    def follow_from_now(self) -> None:
        """Until the journal knows where the stream begins."""
        assert self.journal is not None
        while not self.journal.stream.state().offsets:
            for service in self.services:
                if service.name == "follow":
                    self.tick(service)
            self.history.clock.at += 1.0

    def run(self, ticks: int) -> None:
        """So many ticks of services taken at random."""
        for _ in range(ticks):
            self.tick(self.random.choice(self.services))

    def tick(self, service: Service) -> None:
        try:
            service.tick(self.history.clock.now())
        except Temporary:
            self.history.clock.sleep(0.05)
        except (Permanent, Unsound) as problem:
            if not self.history.moved:
                raise
            if isinstance(problem, Unsound):  # a stream that went on behind the next leader: dead until the restart
                self.services.remove(service)
            self.refused += 1
            self.history.clock.sleep(0.05)
        except Crash:
            self.crashes += 1
            self.start()

    def found(self) -> Mapping[tuple[str, TableName, Key], Any]:
        """The open drift in the journal."""
        assert self.journal is not None
        return {(o.drift.follower, o.drift.table, o.drift.key): o.drift for o in self.journal.drifts.open(limit=10_000)}

    def _settled(self, verified: Verified) -> None:
        self.judged["equal"] += len(verified.equal)
        self.judged["unsettled"] += verified.unsettled
        self.judged["drift"] += len(verified.drifts)
        tainted = self.history.tainted[verified.follower]
        for drift in verified.drifts:
            assert (drift.table, drift.key) in tainted, f"false drift: {drift}"
            assert drift.evidence.certainty is Certainty.PROVEN
        if verified.follower in self._mending:
            self.faults.strike("between the look and the repair's verdict", only_crash=True)
            self._mending[verified.follower].judged(verified.table, verified.since, verified.equal, verified.drifts)

    def _stream(self) -> MemoryStream:
        kind = IdentifiedStream if self.history.identified else MemoryStream
        stream = kind(
            self.history.addresses["leader"],
            happen=self.history.happen,
            again=lambda: self.random.choice((0, 0, 0, 1, 4)),
            pause=lambda: self.random.choice((0, 0, 1, 3)),
        )
        if not self.history.moved:
            stream.forget(self._retained.forgotten)
        return stream

    def lose_stream(self) -> None:
        """The source forgets everything up to now; noticed at the next start."""
        self._retained.forget(len(self.history.leader.log))


class _Watched:
    """Law: no offset is acknowledged before the journal holds it."""

    def __init__(self, stream: MemoryStream, journal: Journal) -> None:
        self._stream = stream
        self._journal = journal

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def acknowledge(self, offsets: Mapping[str, int]) -> None:
        held = self._journal.stream.state().offsets
        assert all(held.get(name, -1) >= offset for name, offset in offsets.items()), (held, offsets)
        self._stream.acknowledge(offsets)
