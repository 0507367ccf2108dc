"""A table that is described anew between the read of its rows and the plan for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from fixtures.memory_group import T, described
from fixtures.planning import together

from connectors.journal.opening import open_journal
from connectors.memory.clock import VirtualClock
from connectors.memory.follower import Follower
from connectors.memory.leader import Leader
from connectors.memory.replica import MemoryReplica
from reconciler.casebook import Casebook
from reconciler.events import Announcer
from reconciler.policy import Mode, RepairPolicy
from reconciler.repairing import planned_parts
from verifier.compare import Comparison, comparison
from verifier.drift import Certainty, Difference, Drift, Evidence, Kind, Method
from verifier.identity import drift_id
from verifier.look import Role
from verifier.table import Column, Family, TableName


@dataclass
class Altered(Mapping[TableName, Comparison]):
    """The table as its rows are read by, and from then on with a column more."""

    asked: int = 0

    def __getitem__(self, name: TableName) -> Comparison:
        self.asked += 1
        table = described(name)
        if self.asked > 1:
            table = replace(table, columns=(*table.columns, Column("w", Family.TEXT, "text")))
        return comparison(table, table)

    def __iter__(self) -> Iterator[TableName]:
        return iter((T,))

    def __len__(self) -> int:
        return 1


def test_rows_are_planned_for_by_the_columns_that_were_read(tmp_path: Path) -> None:
    clock = VirtualClock()
    server = Leader(clock.now)
    server.create(described(T))
    standing = Follower(server, Role.SUBSCRIBER)
    standing.shelves.create(described(T))
    writing = server.begin()
    writing.insert(T, {"id": "1", "v": "x"})
    writing.commit()
    standing.catch_up()
    standing.put(T, (1,), {"id": "1", "v": "wrong"})
    evidence = Evidence(Certainty.PROVEN, Method.VISIBILITY)
    told = {"v": Difference("x", "wrong")}
    drift = Drift(drift_id("g", "one", T, (1,)), "g", "one", T, (1,), Kind.MISMATCHED, told, evidence, 1.0)
    journal = open_journal(tmp_path / "journal.db", "g")
    try:
        journal.drifts.record([drift])
        planned = together(planned_parts(
            Casebook(journal.repairs, Announcer("i", "g"), Altered()), [drift],
            leader=MemoryReplica("leader", server), follower=MemoryReplica("one", standing),
            policy=RepairPolicy(mode=Mode.PROPOSE), actor="p", now=2.0,
        ))  # fmt: skip
    finally:
        journal.close()
    assert [(one.wanted, one.expected) for one in planned.repairs] == [
        ({"id": "1", "v": "x"}, {"id": "1", "v": "wrong"})
    ]
