"""The journal against a model of plain dictionaries, under any sequence of steps, reopened at any moment."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from fixtures.journal_samples import ITEMS, ORDERS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.journal.opening import Journal, open_journal
from verifier.drift import Certainty, Drift, Evidence, Kind, Method
from verifier.identity import drift_id
from verifier.journal import StreamState, Touched
from verifier.position import Lsn
from verifier.table import Key, TableName

FOLLOWERS = ("eu", "us")
Place = tuple[str, TableName, Key]

followers = st.sampled_from(FOLLOWERS)
places = st.sampled_from([(ORDERS, (1,)), (ORDERS, (2,)), (ITEMS, (1, "ü"))])
times = st.integers(0, 9).map(float)
kinds = st.sampled_from(list(Kind))
steps = st.one_of(
    st.tuples(st.just("advance"), st.lists(places, max_size=3, unique=True)),
    st.tuples(st.just("look"), followers, st.integers(1, 4), st.frozensets(places, max_size=1)),
    st.tuples(st.just("settle"), followers, st.frozensets(st.integers(0, 2)), kinds, times),
    st.tuples(st.just("record"), followers, st.lists(st.tuples(places, kinds, times), max_size=3)),
    st.tuples(st.just("clear"), followers, places, times),
    st.tuples(st.just("reopen")),
)


@dataclass
class Model:
    """What the journal should hold."""

    offset: int = 0
    generation: int = 0
    touched: dict[Place, tuple[int, Lsn]] = field(default_factory=dict)
    open: dict[Place, tuple[float, float, Kind]] = field(default_factory=dict)  # first found, last seen, kind
    cleared: dict[Place, float] = field(default_factory=dict)

    def record(self, place: Place, kind: Kind, at: float) -> bool:
        if place in self.open:
            first, last, _ = self.open[place]
            if at >= last:
                self.open[place] = (first, at, kind)
            return False
        if at < self.cleared.get(place, at):
            return False
        self.open[place] = (at, at, kind)
        return True

    def clear(self, place: Place, at: float) -> bool:
        if place not in self.open or self.open[place][1] > at:
            return False
        del self.open[place]
        self.cleared[place] = at
        return True


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("journal") / "j.db"


@pytest.fixture(scope="module")
def groups() -> Iterator[str]:
    """A new group for each example: as good as a new journal, and free."""
    return (f"g{n}" for n in itertools.count())


class Bench:
    """The journal and its model, moved together."""

    def __init__(self, path: Path, group: str) -> None:
        self.path, self.group = path, group
        self.journal: Journal = open_journal(path, group)
        self.model = Model()
        self.looked: dict[str, list[Touched]] = {name: [] for name in FOLLOWERS}

    def drift(self, follower: str, table: TableName, key: Key, kind: Kind, at: float) -> Drift:
        evidence = Evidence(Certainty.PROVEN, Method.SNAPSHOT)
        id_ = drift_id(self.group, follower, table, key)
        return Drift(id_, self.group, follower, table, key, kind, {}, evidence, at)

    def advance(self, changed: list[tuple[TableName, Key]]) -> None:
        model = self.model
        model.offset += 1
        commits = {place: Lsn(model.offset * 10 + i) for i, place in enumerate(changed)}
        self.journal.stream.advance(
            StreamState({"p": model.offset}, Lsn(model.offset)), commits, [], followers=FOLLOWERS, at=1.0
        )
        for (table, key), commit in commits.items():
            model.generation += 1
            for follower in FOLLOWERS:
                model.touched[follower, table, key] = (model.generation, commit)

    def look(self, follower: str, limit: int, skip: frozenset[tuple[TableName, Key]]) -> None:
        waiting = sorted((v, k) for k, v in self.model.touched.items() if k[0] == follower and k[1:] not in skip)
        found = list(self.journal.stream.touched(follower, limit=limit, skip=skip))
        assert [(t.generation, (t.follower, t.table, t.key)) for t in found] == [(g, k) for (g, _), k in waiting][
            :limit
        ]
        self.looked[follower] += found

    def settle(self, follower: str, drifted: frozenset[int], kind: Kind, at: float) -> None:
        """Judges everything looked at so far, however old: what was touched again since must stay."""
        looked = {(t.table, t.key): t for t in self.looked[follower]}
        bad = [t for n, t in enumerate(looked.values()) if n in drifted]
        found = [self.drift(follower, t.table, t.key, kind, at) for t in bad]
        self.journal.stream.settle(follower, list(looked.values()), found, at=at)
        for t in looked.values():
            place = (follower, t.table, t.key)
            if self.model.touched.get(place, (0,))[0] == t.generation:
                del self.model.touched[place]
            if t in bad:
                self.model.record(place, kind, at)
            else:
                self.model.clear(place, at)

    def record(self, follower: str, found: list[tuple[tuple[TableName, Key], Kind, float]]) -> None:
        unique = {place: (place, kind, at) for place, kind, at in found}.values()
        new = self.journal.drifts.record([self.drift(follower, *place, kind, at) for place, kind, at in unique])
        expected = [place for place, kind, at in unique if self.model.record((follower, *place), kind, at)]
        assert [(d.table, d.key) for d in new] == expected

    def clear(self, follower: str, place: tuple[TableName, Key], at: float) -> None:
        closed = self.journal.drifts.clear(follower, place[0], [place[1]], at)
        assert closed == self.model.clear((follower, *place), at)

    def reopen(self) -> None:
        self.journal.close()
        self.journal = open_journal(self.path, self.group)

    def check(self) -> None:
        model, journal = self.model, self.journal
        assert journal.stream.state().offsets == ({"p": model.offset} if model.offset else {})
        for follower in FOLLOWERS:
            found = {
                (t.follower, t.table, t.key): (t.generation, t.commit)
                for t in journal.stream.touched(follower, limit=99)
            }
            assert found == {k: v for k, v in model.touched.items() if k[0] == follower}
            assert journal.stream.touched_count(follower) == len(found)
        known = journal.drifts.open(limit=999)
        assert [k.first_found_at for k in known] == sorted(k.first_found_at for k in known)
        seen = {k.drift.id: (k.first_found_at, k.last_seen_at, k.drift.kind) for k in known}
        assert seen == {drift_id(self.group, *place): values for place, values in model.open.items()}
        assert sum(journal.drifts.counts().values()) == len(model.open)


@settings(max_examples=50, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sequence=st.lists(steps, min_size=5, max_size=25))
def test_the_journal_does_what_dictionaries_would(
    path: Path, groups: Iterator[str], sequence: list[tuple[object, ...]]
) -> None:
    bench = Bench(path, next(groups))
    try:
        for name, *arguments in sequence:
            getattr(bench, str(name))(*arguments)
        bench.check()
    finally:
        bench.journal.close()
