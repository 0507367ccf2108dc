"""The service that looks into causes: what it takes, what it leaves, and what it notes. Causes: test_cause."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from connectors.journal.opening import Journal, open_journal
from connectors.memory.clock import VirtualClock
from connectors.memory.follower import Follower
from connectors.memory.leader import Leader
from connectors.memory.replica import MemoryReplica
from reconciler.masking import Masking
from trueup.services import cause as causing
from trueup.services.cause import Applier, CauseService, Recollection
from trueup.services.group import GroupWorld, TableBook
from trueup.services.ownlog import OWN, Anchors, Heard, Overheard
from trueup.services.rogue import Rogue
from trueup.services.verify import Verified
from verifier.change import Batch, Change, Operation, Transaction
from verifier.drift import Certainty, Difference, Drift, DriftCause, Evidence, Kind, Method
from verifier.errors import Unreachable
from verifier.identity import drift_id
from verifier.look import Role
from verifier.ports import in_turn
from verifier.position import Tick
from verifier.table import Column, Family, Key, Table, TableName

T = TableName("public", "t")
NEW, PAID = {"id": "1", "status": "new"}, {"id": "1", "status": "paid"}


class Bench:
    """A leader, one subscriber that nobody feeds but the test, and the service."""

    def __init__(self, path: Path) -> None:
        self.clock = VirtualClock()
        self.journal: Journal = open_journal(path, "shop")
        server = Leader(self.clock.now)
        columns = (Column("id", Family.INTEGER, "bigint", False), Column("status", Family.TEXT, "text"))
        server.create(Table(T, columns, ("id",)))
        self.down = False
        self.follower = Follower(server, Role.SUBSCRIBER, server.shelves.copy())
        replica = MemoryReplica("one", self.follower, happen=self._happen)
        leader = MemoryReplica("leader", server)
        book = TableBook(leader, {"one": replica}, ["*"], self.clock)
        world = GroupWorld("shop", leader, {"one": replica}, book, self.clock, in_turn, None)
        self.told: list[DriftCause] = []
        self.service = CauseService(
            world, self.journal.drifts, Recollection(), {"one": Applier()}, lambda drift, cause: self.told.append(cause)
        )
        self.service.recollection.batch(Batch((), Tick(10)), 0.0)

    def _happen(self) -> None:
        if self.down:
            raise Unreachable("one does not answer")

    def changed(self, at: int, operation: Operation, row: dict[str, Any] | None, key: int = 1) -> None:
        change = Change(T, (key,), operation, row)
        batch = Batch((Transaction(at, Tick(at), float(at), (change,)),), Tick(at))
        self.service.recollection.batch(batch, self.clock.now())

    def found(self, kind: Kind, columns: dict[str, tuple[str | None, str | None]], key: Key = (1,)) -> Drift:
        evidence = Evidence(Certainty.PROVEN, Method.VISIBILITY, {"follower_high": "tick:100"})
        told = {name: Difference(*both) for name, both in columns.items()}
        identity = drift_id("shop", "one", T, key)
        drift = Drift(identity, "shop", "one", T, key, kind, told, evidence, self.clock.now())
        self.journal.drifts.record([drift])
        self.service.judged(Verified("one", T, {}, (), (drift,)))
        return drift

    def cause(self, drift: Drift) -> DriftCause | None:
        known = self.journal.drifts.find(drift.id)
        assert known is not None
        return known.drift.cause

    def tick(self) -> float:
        return self.service.tick(self.clock.now())


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "journal.db")
    yield made
    made.journal.close()


def test_a_cause_is_noted_with_its_changes_and_told_once(bench: Bench) -> None:
    bench.changed(20, Operation.INSERT, NEW)
    bench.changed(30, Operation.UPDATE, PAID)
    bench.follower.shelves.put(T, (1,), NEW)
    drift = bench.found(Kind.MISMATCHED, {"status": ("paid", "new")})
    bench.service.judged(Verified("one", T, {}, (), (drift,)))  # by the scan too
    assert bench.tick() > 0
    assert bench.cause(drift) is DriftCause.UNKNOWN  # lost, or the first one applied again: no version tells
    assert bench.told == [DriftCause.UNKNOWN]
    kept = bench.journal.drifts.history(drift.id)
    assert kept is not None
    assert [one.after for one in kept.changes] == [NEW, PAID]
    bench.service.judged(Verified("one", T, {}, (), (drift,)))
    bench.tick()
    assert len(bench.told) == 1


def test_what_is_found_anew_while_it_is_looked_into_is_told_once(bench: Bench) -> None:
    bench.tick()  # takes what an earlier process has left, which is nothing
    bench.changed(20, Operation.INSERT, NEW)
    bench.changed(30, Operation.UPDATE, PAID)
    bench.follower.shelves.put(T, (1,), NEW)
    drift = bench.found(Kind.MISMATCHED, {"status": ("paid", "new")})
    bench.clock.sleep(1.0)
    anew = replace(drift, found_at=bench.clock.now())
    bench.journal.drifts.record([anew])  # by the scan, which has not told of it yet
    bench.tick()
    assert (bench.cause(drift), bench.told) == (None, [])
    bench.service.judged(Verified("one", T, {}, (), (anew,)))
    bench.tick()
    assert (bench.cause(drift), bench.told) == (DriftCause.UNKNOWN, [DriftCause.UNKNOWN])


def test_of_masked_columns_the_same_is_told_and_no_value_kept(bench: Bench) -> None:
    masking = bench.service.world.book.masking = Masking({T: frozenset({"status"})}, b"salt")
    new, paid = masking.value("new"), masking.value("paid")
    bench.changed(20, Operation.INSERT, NEW)
    bench.changed(30, Operation.UPDATE, PAID)
    bench.follower.shelves.put(T, (1,), NEW)
    drift = bench.found(Kind.MISMATCHED, {"status": (paid, new)})
    lost = bench.found(Kind.MISSING, {"id": ("2", None), "status": (new, None)}, key=(2,))
    bench.changed(40, Operation.INSERT, {**NEW, "id": "2"}, key=2)
    bench.tick()
    assert (bench.cause(drift), bench.cause(lost)) == (DriftCause.UNKNOWN, DriftCause.LOST)
    kept = bench.journal.drifts.history(drift.id)
    assert kept is not None
    assert [one.after for one in kept.changes] == [{"id": "1", "status": new}, {"id": "1", "status": paid}]


def test_changes_that_the_follower_had_not_applied_when_it_was_read_do_not_count(bench: Bench) -> None:
    bench.changed(20, Operation.INSERT, NEW)
    bench.changed(200, Operation.DELETE, None)
    drift = bench.found(Kind.MISSING, {"id": ("1", None), "status": ("new", None)})
    bench.tick()
    assert bench.cause(drift) is DriftCause.LOST
    known = bench.journal.drifts.find(drift.id)
    assert known is not None
    assert known.drift.since == "tick:20"


def test_a_row_that_is_another_by_now_is_left_to_whoever_judges_it_again(bench: Bench) -> None:
    bench.changed(20, Operation.UPDATE, PAID)
    bench.follower.shelves.put(T, (1,), {**NEW, "status": "changed meanwhile"})
    drift = bench.found(Kind.MISMATCHED, {"status": ("paid", "new")})
    bench.tick()
    assert bench.cause(drift) is None
    assert bench.told == []


def test_a_stranger_is_named_by_whoever_follows_the_followers_own_stream(bench: Bench) -> None:
    bench.changed(20, Operation.INSERT, NEW)
    bench.service.wrote(Rogue("one", 7, 0.0, None, ((T, (1,)),)))
    drift = bench.found(Kind.MISSING, {"id": ("1", None), "status": ("new", None)})
    bench.tick()
    assert bench.cause(drift) is DriftCause.ROGUE
    bench.clock.sleep(5.0)
    bench.changed(30, Operation.INSERT, {**NEW, "id": "2"}, key=2)  # later than what the stranger wrote
    bench.service.wrote(Rogue("one", 8, 0.0, None, ((T, (3,)),)))
    other = bench.found(Kind.MISSING, {"id": ("2", None), "status": ("new", None)}, key=(2,))
    bench.tick()
    assert bench.cause(other) is DriftCause.LOST


def test_what_a_server_that_is_away_keeps_from_being_looked_into_is_taken_again(bench: Bench) -> None:
    bench.changed(20, Operation.INSERT, PAID)
    bench.follower.shelves.put(T, (1,), {**PAID, "status": "odd"})
    drift = bench.found(Kind.MISMATCHED, {"status": ("paid", "odd")})
    bench.service.world.book.pair("one", T)  # described before the server goes
    bench.down = True
    with pytest.raises(Unreachable):
        bench.tick()
    assert bench.cause(drift) is None
    bench.down = False
    bench.tick()
    assert bench.cause(drift) is not None


def test_too_much_drift_at_once_is_counted_and_left(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(causing, "QUEUE_MAX", 2)
    drifts = [bench.found(Kind.MISSING, {"id": (str(key), None)}, key=(key,)) for key in range(5)]
    assert bench.service.unexplained == 3
    bench.tick()
    assert [bench.cause(one) is not None for one in drifts] == [True, True, False, False, False]


def _written(at: int, row: dict[str, Any], origin: str | None) -> Transaction:
    return Transaction(at, Tick(at), 0.0, (Change(T, (1,), Operation.UPDATE, row),), origin=origin)


@pytest.mark.parametrize(
    ("origins", "cause"),
    [
        (["tick:20", "tick:30", "tick:30"], DriftCause.DOUBLED),
        (["tick:30", "tick:30"], DriftCause.REORDERED),
        (["tick:20", None], DriftCause.ROGUE),
        (["tick:20"], DriftCause.LOST),
        ([OWN, "tick:20"], DriftCause.UNKNOWN),  # what we repaired is not what the follower applied
    ],
)
def test_the_followers_own_log_tells_what_values_do_not(
    bench: Bench, origins: list[str | None], cause: DriftCause
) -> None:
    end = Tick(5)
    log = Heard(lambda: end)
    bench.service.logs["one"] = log
    log.batch(Batch((), end), 0.0)
    bench.tick()  # what the follower has applied is noted beside where its log is
    first = {**NEW, "status": "one"}
    bench.changed(20, Operation.UPDATE, first)
    bench.changed(30, Operation.UPDATE, PAID)
    rows = {"tick:20": first, "tick:30": PAID, OWN: NEW, None: {**NEW, "status": "mine"}}
    last = rows[origins[-1]] if cause not in (DriftCause.DOUBLED, DriftCause.REORDERED) else first
    images = [*(rows[one] for one in origins[:-1]), last]
    written = [_written(50 + n, row, origin) for n, (row, origin) in enumerate(zip(images, origins, strict=True))]
    log.batch(Batch(tuple(written), Tick(60)), 0.0)
    end = Tick(60)
    bench.follower.shelves.put(T, (1,), last)
    drift = bench.found(Kind.MISMATCHED, {"status": ("paid", last["status"])})
    bench.tick()
    assert bench.cause(drift) is cause


def test_a_log_that_lags_is_waited_for_and_one_that_lags_for_long_is_not(bench: Bench) -> None:
    log = Heard(lambda: Tick(60))
    bench.service.logs["one"] = log
    bench.changed(20, Operation.INSERT, NEW)
    drift = bench.found(Kind.MISSING, {"id": ("1", None), "status": ("new", None)})
    assert bench.tick() == 0.0
    assert bench.cause(drift) is None
    while bench.cause(drift) is None:
        bench.tick()
    assert bench.cause(drift) is DriftCause.LOST
    assert bench.clock.now() - drift.found_at >= 120.0


def test_anchors_of_a_server_that_went_back_are_void() -> None:
    anchors = Anchors()
    for place in range(3_000):
        anchors.add(Tick(place), Tick(10 * place))
    assert anchors.applied(Tick(2_999)) == Tick(29_990)
    assert anchors.applied(Tick(1)) in (Tick(20), Tick(40))  # wider, never too narrow
    assert anchors.applied(Tick(3_000)) is None
    anchors.add(Tick(3_000), Tick(5))
    assert anchors.applied(Tick(1)) == Tick(5)


def test_what_is_overheard_is_remembered_once_it_is_read() -> None:
    class Source:
        """A stream that tells what did not come from the leader, and lets everything be overheard."""

        def __init__(self) -> None:
            self.acknowledged: Any = None
            self.closed = False

        def start(self, offsets: Any, read_through: Any) -> Tick:
            return Tick(1)

        def poll(self, *, changes_max: int, seconds_max: float) -> Batch:
            told.overheard(_written(2, NEW, "tick:20"))
            return Batch((), Tick(2))

        def acknowledge(self, offsets: Any) -> None:
            self.acknowledged = offsets

        def close(self) -> None:
            self.closed = True

    source, log = Source(), Heard(lambda: Tick(2))
    told = Overheard(source, log, lambda: 7.0)
    assert told.start({}, None) == Tick(1)
    assert not log.reached()
    assert told.poll(changes_max=1, seconds_max=0.0).transactions == ()
    assert log.reached()
    (image,) = log.changes(T, (1,)).changes
    assert (image.origin, image.after) == ("tick:20", NEW)
    told.acknowledge({"at": 2})
    told.close()
    assert (source.acknowledged, source.closed) == ({"at": 2}, True)


def test_what_a_process_found_and_did_not_look_into_before_it_was_killed_the_next_one_does(bench: Bench) -> None:
    killed = bench.service
    drift = bench.found(Kind.MISSING, {"id": ("1", None), "status": ("new", None)})
    world, drifts, told = killed.world, killed.journal, killed.explained
    bench.service = CauseService(world, drifts, Recollection(), {"one": Applier()}, told)
    bench.tick()
    assert bench.cause(drift) is None, "before the stream is read nothing can be told"
    bench.service.recollection.batch(Batch((), Tick(10)), 0.0)
    bench.changed(20, Operation.INSERT, NEW)
    bench.tick()
    bench.tick()
    assert (bench.cause(drift), bench.told) == (DriftCause.LOST, [DriftCause.LOST])
