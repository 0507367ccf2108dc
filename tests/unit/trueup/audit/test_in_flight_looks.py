"""A row that is in flight when the audit reads it, and whose change the follower then loses, is found soon: by either
rule of evidence, on either kind of follower, at most two looks after that reading."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from fixtures.memory_audit import tools

from connectors.journal.opening import open_journal
from connectors.memory.clock import VirtualClock
from connectors.memory.follower import Follower
from connectors.memory.leader import Leader
from connectors.memory.replica import MemoryReplica
from connectors.memory.stream import MemoryStream
from trueup.audit.table import TableAudit
from trueup.services.follow import FollowService
from trueup.services.group import GroupWorld, Sighted, TableBook
from trueup.services.verify import judging
from verifier.change import Change
from verifier.compare import Comparison, comparison
from verifier.drift import Kind, Method
from verifier.journal import Run
from verifier.look import Look, Role
from verifier.outcome import Judging
from verifier.policy import SettlePolicy
from verifier.ports import Replica, in_turn
from verifier.table import Column, Family, Key, Table, TableName
from verifier.window import TransactionWindow

T = TableName("public", "t")
TABLE = Table(T, (Column("id", Family.INTEGER, "bigint", False), Column("v", Family.TEXT, "text")), ("id",))
PLANTED: Key = (3,)


class _Site:
    """A leader whose change of the planted row is on its way; the follower will lose it, and all that follow."""

    def __init__(self, role: Role, method: Method, folder: Path, again: int) -> None:
        self.clock, self.looks, self.again = VirtualClock(), 0, again
        self.server = Leader(self.clock.now)
        self.server.create(TABLE)
        self.target = Follower(self.server, role)
        self.target.shelves.create(TABLE)
        first = self.server.begin()
        for number in range(10):
            first.insert(T, {"id": str(number), "v": "old"})
        first.commit()
        self.target.catch_up()
        self.target.damages.append(_lost)
        self.leader: Any = self
        self.real, self.follower = MemoryReplica("leader", self.server), MemoryReplica("one", self.target)
        self.journal = open_journal(folder / "journal.db", "shop")
        book = TableBook(self.leader, {"one": self.follower}, ["*"], self.clock)
        sight = Sighted(TransactionWindow(), ["one"]) if method is Method.VISIBILITY else None
        self.world = GroupWorld("shop", self.leader, {"one": self.follower}, book, self.clock, in_turn, sight)
        if sight is not None:
            stream = MemoryStream(self.server)
            follow = FollowService(self.world, stream, self.journal.stream, poll_seconds=0.0, gather_seconds=0.0)
            self.clock.happen = lambda: (follow.tick(self.clock.at), None)[1]
            self.clock.sleep(0.1)

    def __getattr__(self, name: str) -> Any:
        """The leader as it is asked, busy all the time; within a look the planted row may change once more."""
        found = getattr(self.real, name)
        if name not in ("rows", "point_digests"):
            return found

        def call(table: Table, keys: Any) -> Look[Mapping[Key, Any]]:
            look: Look[Mapping[Key, Any]] = found(table, keys)
            self.change((7,))
            if PLANTED in keys and self.again:
                self.again -= 1
                self.change(PLANTED)
            return look

        return call

    def change(self, key: Key) -> None:
        writing = self.server.begin()
        assert writing.update(T, key, {"v": f"new {self.server.position}"})
        writing.commit()
        self.target.catch_up()

    def judge(self, replica: Replica, compared: Comparison, keys: list[Key]) -> Judging:
        self.looks += PLANTED in keys
        return judging(self.world, "one", compared, keys)


def _lost(change: Change) -> Change | None:
    return None if change.key == PLANTED else change


@pytest.mark.parametrize("again", [0, 1])
@pytest.mark.parametrize("role", [Role.STANDBY, Role.SUBSCRIBER])
@pytest.mark.parametrize("method", [Method.VISIBILITY, Method.BRACKETED])
def test_a_lost_change_in_flight_is_found_at_most_two_looks_later(
    tmp_path: Path, method: Method, role: Role, again: int
) -> None:
    """Held while the chunk is read, so the row is on its way then; `again`: it changes once more within a look."""
    site = _Site(role, method, tmp_path, again)
    site.target.held = True
    site.change(PLANTED)
    site.journal.runs.begin(Run("run", "audit", 0.0, "{}"))
    policy = SettlePolicy(wait_first_seconds=0.05)
    made = tools(site.leader, site.journal.runs, group="shop", clock=site.clock, judge=site.judge, settle=policy)
    audit = TableAudit(made, TABLE, {"one": (site.follower, comparison(TABLE, TABLE))})
    happen = site.clock.happen

    def released() -> None:
        if site.journal.runs.results("run", T):  # the chunk has been read
            site.target.held = False
            site.target.catch_up()
        happen()

    site.clock.happen = released
    audit.run()
    (drift,) = site.journal.runs.drifts("run", T, 10, follower="one")
    site.journal.close()
    assert (drift.key, drift.kind, drift.evidence.method) == (PLANTED, Kind.MISMATCHED, method)
    assert 1 <= site.looks <= 2
    assert (audit.tallies["one"].drift, audit.tallies["one"].in_flight) == (1, 0)
