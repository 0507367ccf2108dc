"""Dirty chunks are read before all else, once their follower has applied them, and no change that comes meanwhile is
lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures.memory_group import MemoryServers, T, described

from connectors.journal.opening import Journal, open_journal
from connectors.memory.replica import MemoryReplica
from trueup.services.dirty import DirtyScan
from verifier.errors import Temporary
from verifier.journal import StreamState
from verifier.keyrange import ALL
from verifier.policy import ScanPolicy


class Shop(MemoryServers):
    """Ten rows on a leader and a follower, which applies only when told to; every table that is touched is crowded."""

    def __init__(self, folder: Path) -> None:
        super().__init__(described(T))
        self.follower = self.followers["one"]
        self.journal: Journal = open_journal(folder / "journal.db", "shop")
        self.journal.stream.crowds.limit = -1
        self.world = self.grouped()
        self.scan = DirtyScan(self.world, self.journal.dirty, self.journal.stream, ScanPolicy(rows_first=4, rows_min=2))
        self.write(*range(10))
        self.follower.catch_up()

    def write(self, *keys: int) -> None:
        """Insert rows, and let the stream tell of it."""
        self.insert(T, keys)
        touched = {(T, (key,)): self.server.tick() for key in keys}
        state = StreamState({"records": len(self.server.log)}, self.server.tick())
        self.journal.stream.advance(state, touched, [], followers=["one"], at=self.clock.now())

    def read(self) -> int:
        """Read whatever is ripe; how many chunks that were."""
        self.clock.at += 1_000.0
        count = 0
        while self.scan.tick(self.clock.now()) is not None:
            count += 1
        return count

    @property
    def suspects(self) -> list[object]:
        return [one.key for one in self.journal.stream.touched("one", limit=99)]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path)
    yield made
    made.journal.close()


def test_what_was_marked_is_read_once_and_what_differs_is_handed_over(shop: Shop) -> None:
    assert [chunk.range for chunk in shop.journal.dirty.dirty(9)] == [ALL]
    shop.follower.drop(T, (3,))
    assert shop.read() > 0
    assert shop.suspects == [(3,)]
    assert shop.journal.dirty.dirty(9) == []
    assert shop.read() == 0


def test_nothing_is_read_before_the_follower_has_applied_it(shop: Shop) -> None:
    shop.read()
    shop.write(77)
    assert shop.read() == 0
    shop.follower.catch_up()
    assert shop.read() > 0
    assert shop.suspects == []


def test_a_change_that_comes_while_its_chunk_is_read_keeps_the_mark(shop: Shop) -> None:
    late = iter([88])

    def meanwhile(read: object) -> None:
        for key in late:
            shop.write(key)

    shop.scan.read = meanwhile
    assert shop.read() > 0
    (left,) = shop.journal.dirty.dirty(9)
    assert left.commit == shop.server.tick()
    shop.follower.catch_up()
    shop.follower.drop(T, (88,))
    shop.read()
    assert shop.suspects == [(88,)]
    assert shop.journal.dirty.dirty(9) == []


def test_a_server_that_is_away_keeps_the_mark(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise Temporary("away")

    with monkeypatch.context() as patched:
        patched.setattr(MemoryReplica, "digest", away)
        shop.clock.at += 1_000.0
        with pytest.raises(Temporary):
            shop.scan.tick(shop.clock.now())
    assert len(shop.journal.dirty.dirty(9)) == 1
    assert shop.read() > 0
    assert shop.journal.dirty.dirty(9) == []


def test_a_paused_table_is_not_read(shop: Shop) -> None:
    from trueup.pausing import Pauses

    shop.world.pauses = Pauses(shop.journal.pauses, shop.clock)
    shop.journal.pauses.pause(T, at=0.0, actor="me")
    assert shop.read() == 0
    shop.journal.pauses.resume(T)
    assert shop.read() > 0
