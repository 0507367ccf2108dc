"""Killed at any call, the reconciler goes on: no repair is written twice, none overwrites a row it did not expect,
no audit line is missing, and in the end the follower holds what the leader holds.

The world here is two dictionaries behind the Protocols; the journal is the real one.
"""

from __future__ import annotations

import contextlib
import itertools
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest
from fixtures.planning import together
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.journal.opening import Journal, open_journal
from reconciler.applying import Step, Target, apply_approved
from reconciler.casebook import Casebook
from reconciler.events import Announcer
from reconciler.policy import Mode, RepairPolicy
from reconciler.ports import Applied, Outcome, RepairJournal
from reconciler.repair import Repair, State
from reconciler.repairing import Sighting, planned_parts, verify_applied
from verifier.compare import comparison
from verifier.drift import Certainty, Difference, Drift, Evidence, Kind, Method
from verifier.identity import drift_id
from verifier.look import Look, Role, Row
from verifier.ports import Identity, Replica
from verifier.position import Tick
from verifier.table import Column, Family, Key, Table, TableName, Value
from verifier.view import NoView

NAME = TableName("public", "t")
TABLE = Table(NAME, (Column("id", Family.INTEGER, "int"), Column("v", Family.TEXT, "text")), ("id",))
AUTOMATIC = RepairPolicy(mode=Mode.APPLY, dry_run=False)
KEYS = (1, 2, 3)
NUMBERS = itertools.count(1)


class Killed(BaseException):
    """Nothing may catch this."""


@dataclass
class Fuse:
    """Kills at call number `at`, before or after the call took effect."""

    at: int
    after: bool
    calls: int = 0

    def __call__(self, call: Callable[[], Any]) -> Any:
        self.calls += 1
        if self.calls != self.at:
            return call()
        if self.after:
            call()
        raise Killed


@dataclass
class Server:
    """One server: key to (value, version)."""

    name: str
    role: Role
    data: dict[int, tuple[str, int]] = field(default_factory=dict)
    versions: Any = field(default_factory=lambda: itertools.count(1))
    meddled: Counter[int] = field(default_factory=Counter)
    """By key, how often somebody else wrote it."""

    def put(self, key: int, value: str | None) -> None:
        if value is None:
            self.data.pop(key, None)
        else:
            self.data[key] = (value, next(self.versions))

    def meddle(self, key: int, value: str | None) -> None:
        self.put(key, value)
        self.meddled[key] += 1

    def identity(self) -> Identity:
        return Identity("memory", "1", self.name, 1, self.role)

    def position(self) -> Tick:
        return Tick(0)

    def rows(self, table: Table, keys: Collection[Key]) -> Look[Mapping[Key, Row]]:
        found = {
            key: Row({"id": str(key[0]), "v": value}, 0, str(version))
            for key in keys
            for value, version in [self.data.get(cast(int, key[0]), (None, 0))]
            if value is not None
        }
        return Look(found, Tick(0), Tick(0), NoView())


@dataclass
class Sink:
    """Compare-and-set on the follower, and what it wrote, with how often somebody else had written that row before: he
    may bring back the very damage that was mended."""

    follower: Server
    fuse: Fuse
    written: list[tuple[str, int]] = field(default_factory=list)

    def apply(self, table: Table, repair: Repair) -> Applied:
        return cast(Applied, self.fuse(lambda: self._apply(repair)))

    def _apply(self, repair: Repair) -> Applied:
        key = cast(int, repair.key[0])
        if _value(repair.expected) != self.follower.data.get(key, (None, 0))[0]:
            return Applied(Outcome.STALE)
        self.follower.put(key, _value(repair.wanted))
        self.written.append((repair.id, self.follower.meddled[key]))
        return Applied(Outcome.APPLIED)

    def statement(self, table: Table, repair: Repair) -> str:
        return f"-- {repair.id}"

    def close(self) -> None:
        pass


@dataclass
class Fragile:
    """The real journal behind a fuse, for the methods that write."""

    journal: RepairJournal
    fuse: Fuse

    def record(self, repairs: Sequence[Repair], **more: Any) -> int:
        return cast(int, self.fuse(lambda: self.journal.record(repairs, **more)))

    def move(self, repair_id: str, state: State, **more: Any) -> bool:
        return cast(bool, self.fuse(lambda: self.journal.move(repair_id, state, **more)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.journal, name)


def _value(row: Mapping[str, Value] | None) -> str | None:
    return None if row is None else row["v"]


def drifts(leader: Server, follower: Server) -> list[Drift]:
    """Every key that differs now, as if a rule of evidence had just said so."""
    found = []
    for key in KEYS:
        left, right = leader.data.get(key, (None, 0))[0], follower.data.get(key, (None, 0))[0]
        if left != right:
            kind = Kind.MISSING if right is None else Kind.EXTRA if left is None else Kind.MISMATCHED
            found.append(
                Drift(
                    drift_id("g", follower.name, NAME, (key,)),
                    "g",
                    follower.name,
                    NAME,
                    (key,),
                    kind,
                    {"v": Difference(left, right)},
                    Evidence(Certainty.PROVEN, Method.SNAPSHOT),
                    1.0,
                )
            )
    return found


def run(journal: Journal, leader: Server, follower: Server, sink: Sink, fuse: Fuse, now: float) -> list[Step]:
    """One process: plan, apply, look."""
    fragile = cast(RepairJournal, Fragile(journal.repairs, fuse))
    casebook = Casebook(fragile, Announcer("i", "g"), {NAME: comparison(TABLE, TABLE)})
    one, other = cast(Replica, leader), cast(Replica, follower)
    together(
        planned_parts(
            casebook,
            drifts(leader, follower),
            leader=one,
            follower=other,
            policy=AUTOMATIC,
            actor="p",
            now=now,
        )
    )
    taken = apply_approved(
        casebook, Target(one, other, replace(sink, fuse=fuse)), journal.drifts, AUTOMATIC, actor="a", now=now
    )
    wrong = {drift.key for drift in drifts(leader, follower)}
    equal = {(key,) for key in KEYS} - wrong
    since = dict.fromkeys([*equal, *wrong], now + 1)
    verify_applied(casebook, Sighting(follower.name, NAME, since, equal, wrong), actor="v", now=now + 2)
    return [each.step for each in taken]


values = st.sampled_from([None, "a", "b"])


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journal]:
    """One for all examples, each of which has a follower of its own; the audit chain must hold at the end."""
    made = open_journal(tmp_path_factory.mktemp("journal") / "journal.db", "g")
    yield made
    assert made.repairs.audit_broken_at() is None
    made.close()


places = st.sampled_from(["lead", "sub", "both"])
meddling = st.lists(st.tuples(places, st.sampled_from(KEYS), values), max_size=2)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    left=st.tuples(values, values, values),
    right=st.tuples(values, values, values),
    kills=st.lists(st.tuples(st.integers(1, 14), st.booleans(), meddling), min_size=1, max_size=2),
)
def test_killed_anywhere_it_goes_on(
    journal: Journal,
    left: tuple[str | None, ...],
    right: tuple[str | None, ...],
    kills: list[tuple[int, bool, list[tuple[str, int, str | None]]]],
) -> None:
    leader, follower = Server("lead", Role.LEADER), Server(f"sub{next(NUMBERS)}", Role.SUBSCRIBER)
    for key, one, other in zip(KEYS, left, right, strict=True):
        leader.put(key, one)
        follower.put(key, other)
    sink = Sink(follower, Fuse(0, False))
    now = 1000.0
    for at, after, changes in kills:
        now += 10
        with contextlib.suppress(Killed):
            run(journal, leader, follower, sink, Fuse(at, after), now)
        for where, key, value in changes:
            for server in (leader, follower):
                if where == "both" or server.name.startswith(where):
                    server.meddle(key, value)
    for _ in range(2):  # the second ends what the first superseded and planned anew
        now += 10
        run(journal, leader, follower, sink, Fuse(0, False), now)

    assert {k: v for k, (v, _) in leader.data.items()} == {k: v for k, (v, _) in follower.data.items()}
    assert len(sink.written) == len(set(sink.written))
    records = {
        record.repair.id: record
        for record in journal.repairs.listed(limit=100_000)
        if record.repair.follower == follower.name
    }
    assert {record.state for record in records.values()} <= {State.VERIFIED, State.SUPERSEDED, State.FAILED}
    # Every write has its intention before it in the audit, even if the process died right after it.
    begun = {entry.subject for entry in journal.repairs.audit(limit=100_000) if entry.action == "applying"}
    assert {repair for repair, _ in sink.written} <= begun
    # What was written is known as written, unless somebody else wrote the row right after the process died.
    for written, _ in sink.written:
        state, note = records[written].state, records[written].note
        assert state in (State.VERIFIED, State.FAILED) or (note.startswith("interrupted") and "equal" not in note)
