"""Blindness ends with a pass that read every follower, and with no other."""

from __future__ import annotations

from pathlib import Path
from random import Random

from simulated.daemon import Daemon
from simulated.faults import Faults
from simulated.history import ITEMS, History

from verifier.change import Blindness, Cause
from verifier.errors import Temporary
from verifier.journal import StreamState


def blind_daemon(path: Path) -> Daemon:
    """One table of several chunks that the stream has lost sight of; nothing moves."""
    history = History(Random(1), keys=24)
    history.quiet()
    daemon = Daemon(history, Random(2), path, scans=True, streams=True, repairs=False)
    assert daemon.journal is not None
    at = history.clock.now()
    daemon.journal.stream.advance(StreamState(), {}, [Blindness(Cause.GAP, ITEMS)], followers=[], at=at)
    history.clock.at += 10.0
    daemon.start()
    daemon.follow_from_now()
    return daemon


def scan(daemon: Daemon, ticks: int) -> None:
    (service,) = (service for service in daemon.services if service.name == "scan")
    for _ in range(ticks):
        daemon.tick(service)
        daemon.history.clock.at += 0.01


def blind(daemon: Daemon) -> bool:
    assert daemon.journal is not None
    return ITEMS in daemon.journal.stream.blind([ITEMS])


def test_a_whole_pass_ends_it(tmp_path: Path) -> None:
    daemon = blind_daemon(tmp_path / "journal.db")
    scan(daemon, 1)
    assert blind(daemon)
    scan(daemon, 9)
    assert not blind(daemon)


class FollowerAway(Faults):
    """The second digest that is asked for fails: a chunk asks the leader first, then the follower."""

    digests = 0

    def strike(self, where: str, *, only_crash: bool = False) -> None:
        if where == "before MemoryReplica.digest":
            self.digests += 1
            if self.digests == 2:
                raise Temporary("the follower is away")


def test_a_pass_that_could_not_read_a_follower_does_not_end_it_even_over_a_restart(tmp_path: Path) -> None:
    daemon = blind_daemon(tmp_path / "journal.db")
    assert daemon.journal is not None
    daemon.faults = FollowerAway(daemon.random, daemon.history.clock)
    daemon.start()
    scan(daemon, 2)
    read = [result.chunk.index for result in daemon.journal.scans.chunks(ITEMS)]
    assert read == [1]  # of the first chunk the follower is unread
    daemon.start()
    scan(daemon, 2)
    assert blind(daemon)  # all chunks but the first were read now or before, in one pass or the other
    scan(daemon, 9)
    assert not blind(daemon)
