"""What must hold of a daemon once all is quiet."""

from __future__ import annotations

from reconciler.repair import State
from simulated.daemon import Daemon


def settle(daemon: Daemon) -> None:
    """Nobody writes, nothing fails: every service gets its turns over several passes of the scan (the stream may begin
    only now, and what was scanned before is then scanned again), and until no touched key waits; waiting for ever
    shows in `check`."""
    daemon.history.quiet()
    daemon.faults.off()
    others = [service for service in daemon.services if service.name != "scan"]
    for service in others:
        daemon.tick(service)
    _clean(daemon)
    for pause in (40.0, 100.0):  # longer than the scan leaves a table alone that it could not read, now and again
        daemon.history.clock.at += pause
        for scan in (service for service in daemon.services if service.name == "scan"):
            for _ in range(8):
                daemon.tick(scan)
                daemon.history.clock.at += 0.4
    for _ in range(20):
        for service in others:
            daemon.tick(service)
        _clean(daemon)
        daemon.history.clock.at += 0.25
        if not waiting(daemon) and read_through(daemon):
            return


def _clean(daemon: Daemon) -> None:
    """Dirty chunks are read before all else."""
    assert daemon.journal is not None
    for _ in range(120):
        if not daemon.journal.dirty.dirty(1):
            return
        daemon.history.clock.at += 2.0
        for scan in (service for service in daemon.services if service.name == "scan"):
            daemon.tick(scan)


def read_through(daemon: Daemon) -> bool:
    """Has the stream told everything? It may keep its last transactions to itself for a poll or two."""
    assert daemon.journal is not None
    through = daemon.journal.stream.state().read_through
    return not daemon.streams or (through is not None and through.covers(daemon.history.replica("leader").position()))


def waiting(daemon: Daemon) -> int:
    assert daemon.journal is not None
    return len(daemon.journal.dirty.dirty(100)) + sum(
        daemon.journal.stream.touched_count(name) for name in daemon.history.followers
    )


def check(daemon: Daemon) -> None:
    assert daemon.journal is not None
    found = {where: drift.kind for where, drift in daemon.found().items() if where[0] in daemon.history.followers}
    expected = {
        (name, table, key): kind
        for name in daemon.history.followers
        for (table, key), kind in daemon.history.differences(name).items()
    }
    assert found == expected, (found, expected)
    if daemon.repairs:
        check_repairs(daemon)
    assert waiting(daemon) == 0


def check_repairs(daemon: Daemon) -> None:
    """Whoever can be written is mended, nothing is left half done, and the audit chain holds."""
    assert daemon.journal is not None
    repairs = daemon.journal.repairs
    if "subscriber" in daemon.history.followers:
        assert daemon.history.differences("subscriber") == {}
    assert repairs.listed(State.APPROVED, State.APPLYING, State.APPLIED) == []
    assert repairs.audit_broken_at() is None
