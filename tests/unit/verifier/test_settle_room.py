"""The waiting room: growing bounded waits, one batch at a time, nobody lost and nobody judged twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from verifier.drift import Certainty, Difference, Evidence, Kind, Method
from verifier.errors import Temporary
from verifier.outcome import Again, Differs, Equal, Moving, Outcome
from verifier.policy import SettlePolicy
from verifier.settle import Room
from verifier.table import Key

DRIFT = Differs(Kind.MISMATCHED, {"v": Difference("1", "2")}, Evidence(Certainty.PROVEN, Method.BRACKETED))


@dataclass
class Judge:
    """Answers by script: each key's outcomes in turn, the last one for ever."""

    script: Mapping[Key, list[Outcome]]
    asked: list[list[Key]] = field(default_factory=list)
    broken: bool = False
    again: int = 0

    def __call__(self, keys: list[Key]) -> Judge:
        self.asked.append(keys)
        return self

    def advance(self, now: float) -> Again | Mapping[Key, Outcome]:
        if self.broken:
            raise Temporary("the server is away")
        if self.again:
            self.again -= 1
            return Again(now + 1.0)
        answer: dict[Key, Outcome] = {}
        for key in self.asked[-1]:
            outcomes = self.script[key]
            answer[key] = outcomes.pop(0) if len(outcomes) > 1 else outcomes[0]
        return answer


def run(room: Room[int], until: float) -> list[tuple[float, Key, int, Outcome]]:
    left: list[tuple[float, Key, int, Outcome]] = []
    while (due := room.next_due()) is not None and due <= until:
        left += [(round(due, 3), one.key, one.tag, one.outcome) for one in room.advance(due)]
    return left


def test_keys_leave_with_their_tag_once_they_are_judged() -> None:
    judge = Judge({(1,): [Equal()], (2,): [DRIFT]})
    room: Room[int] = Room(judge, SettlePolicy())
    room.admit([(1,)], 10, 0.0)
    room.admit([(2,)], 11, 0.0)
    assert sorted(run(room, 5.0), key=lambda one: one[1]) == [(0.05, (1,), 10, Equal()), (0.05, (2,), 11, DRIFT)]
    assert (len(room), room.next_due()) == (0, None)


def test_waits_double_up_to_the_most_and_end() -> None:
    judge = Judge({(1,): [Moving("busy")]})
    room: Room[int] = Room(judge, SettlePolicy(give_up_seconds=10.0))
    room.admit([(1,)], 0, 0.0)
    looks: list[float] = []
    left: list[object] = []
    while (due := room.next_due()) is not None:
        looks.append(round(due, 3))
        left += room.advance(due)
    gaps = [round(b - a, 3) for a, b in pairwise(looks)]
    assert gaps == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0, 2.0, 2.0]
    assert looks[-1] >= 10.0
    assert len(left) == 1


def test_a_server_that_is_away_postpones_and_gives_its_reason_in_the_end() -> None:
    judge = Judge({(1,): [Equal()]}, broken=True)
    room: Room[int] = Room(judge, SettlePolicy(give_up_seconds=3.0))
    room.admit([(1,)], 0, 0.0)
    (left,) = run(room, 60.0)
    assert left[3] == Moving("the server is away")
    assert left[0] >= 3.0


def test_an_attempt_that_asks_to_be_called_again_is_the_same_attempt() -> None:
    judge = Judge({(1,): [Equal()]}, again=2)
    room: Room[int] = Room(judge, SettlePolicy())
    room.admit([(1,)], 0, 0.0)
    assert run(room, 60.0) == [(2.05, (1,), 0, Equal())]
    assert len(judge.asked) == 1


def test_a_key_that_waits_keeps_its_tag() -> None:
    judge = Judge({(1,): [Moving("busy"), Equal()]})
    room: Room[int] = Room(judge, SettlePolicy())
    room.admit([(1,)], 5, 0.0)
    room.admit([(1,)], 6, 0.01)
    assert len(room) == 1
    assert [one[2] for one in run(room, 60.0)] == [5]


def test_batches_are_bounded() -> None:
    keys: list[Key] = [(i,) for i in range(25)]
    judge = Judge({key: [Equal()] for key in keys})
    room: Room[int] = Room(judge, SettlePolicy(batch_keys=10))
    room.admit(keys, 0, 0.0)
    assert len(run(room, 60.0)) == 25
    assert [len(asked) for asked in judge.asked] == [10, 10, 5]


def test_giving_up_lets_everybody_out() -> None:
    room: Room[int] = Room(Judge({}), SettlePolicy())
    room.admit([(1,), (2,)], 3, 0.0)
    assert [(left.key, left.outcome) for left in room.give_up("stopped")] == [
        ((1,), Moving("stopped")),
        ((2,), Moving("stopped")),
    ]
    assert not room
    assert room.next_due() is None


def test_keys_that_come_due_after_a_round_began_wait_for_the_next() -> None:
    judge = Judge({(1,): [Equal()], (2,): [Equal()]})
    room: Room[int] = Room(judge, SettlePolicy())
    room.admit([(1,)], 1, 100.0, delay=0.0)
    room.admit([(2,)], 2, 100.5, delay=0.0)
    room.until = 100.0
    assert [left.key for left in room.advance(101.0)] == [(1,)]
    assert (room.next_due(), room.advance(102.0)) == (None, [])
    room.until = 102.0
    assert room.next_due() == 100.5
    assert [left.key for left in room.advance(102.0)] == [(2,)]
