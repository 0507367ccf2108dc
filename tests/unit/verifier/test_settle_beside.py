"""Batches beside a batch that waits: a late stream must not make a queue of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from verifier.outcome import Again, Equal, Outcome
from verifier.policy import SettlePolicy
from verifier.settle import Room
from verifier.table import Key

LATE = 2.0


@dataclass
class Waiting:
    """Looks at once, and can judge `LATE` seconds after its first look."""

    keys: list[Key]
    looked: float | None = None

    def advance(self, now: float) -> Again | Mapping[Key, Outcome]:
        self.looked = now if self.looked is None else self.looked
        if now < self.looked + LATE:
            return Again(now + 0.02)
        return dict.fromkeys(self.keys, Equal())


@dataclass
class Judges:
    made: list[Waiting] = field(default_factory=list)

    def __call__(self, keys: list[Key]) -> Waiting:
        self.made.append(Waiting(keys))
        return self.made[-1]


def test_batches_are_looked_at_while_others_wait_for_the_stream() -> None:
    judges = Judges()
    room: Room[int] = Room(judges, SettlePolicy(batch_keys=40))
    left: dict[Key, float] = {}
    now = 0.0
    for tick in range(1000):
        now = tick * 0.02
        if tick < 100:
            room.admit([(tick * 2,), (tick * 2 + 1,)], tick, now, delay=0.0)
        while (due := room.next_due()) is not None and due <= now:
            gone = room.advance(now)
            left.update({one.key: now for one in gone})
            if not gone:
                break
    assert len(left) == 200
    assert max(at - key[0] / 100 for key, at in left.items() if isinstance(key[0], int)) < 2 * LATE + 0.5
    assert len(judges.made) >= 2
    assert sorted(key for judge in judges.made for key in judge.keys) == sorted(left)
    assert (len(room), room.next_due()) == (0, None)
