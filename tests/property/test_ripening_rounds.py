"""What a round of looks may say, against all that was seen, while rules break and mend and looks come now and then."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from verifier.invariant import Standing
from verifier.ripening import Judged, Ripening, Sight, Wrong

GRACE, PATIENCE = 5.0, 4.0
NAMES = st.sampled_from(["a", "b", "c"])
LOOKS = st.lists(
    st.tuples(
        st.sampled_from([0.5, 1.0, 2.5]),
        st.dictionaries(NAMES, st.sampled_from(["1", "2"]), max_size=3),
        st.sets(NAMES, max_size=1),
        st.integers(1, 6),
    ),
    max_size=12,
).map(lambda some: [(wait, wrong, moved) for wait, wrong, moved, times in some for _ in range(times)])


@dataclass(frozen=True)
class Seen:
    """One look: when, what was wrong in what way, what moved, and what was said."""

    at: float
    wrong: frozenset[Wrong]
    moved: frozenset[tuple[str, ...]]
    judged: Judged
    counting: frozenset[Wrong]

    @property
    def not_right(self) -> set[tuple[object, ...]]:
        return {one.name for one in self.wrong} | set(self.moved)


@settings(max_examples=150, deadline=None)
@given(LOOKS, st.sampled_from([1, 4]))
def test_every_standing_has_its_reason_in_what_was_seen(
    looks: list[tuple[float, dict[str, str], set[str]]], needed: int
) -> None:
    ripening, now = Ripening(GRACE, needed, PATIENCE), 0.0
    every: list[Seen] = []
    began = 0
    for wait, broken, moving in looks:
        now += wait
        if not ripening.open:
            began = len(every)
        moved = frozenset((name,) for name in moving)
        wrong = [Wrong.of((name,), (way,)) for name, way in broken.items() if name not in moving]
        judged = ripening.take(Sight(wrong, moved), now)
        counting = frozenset(wrong[i] for i in judged.counting if judged.standing is Standing.VIOLATED)
        every.append(Seen(now, frozenset(wrong), moved, judged, counting))
        reasoned(every, began, needed)
        assert ripening.open <= (now - every[began].at < GRACE + PATIENCE or len(every) - began < needed)


def reasoned(every: list[Seen], began: int, needed: int) -> None:
    last, of_round = every[-1], every[began:]
    for one in last.wrong:
        since = next((i for i in reversed(range(len(every))) if one not in every[i].wrong), -1) + 1
        long_enough = last.at - every[max(since, began)].at >= GRACE and len(every) - max(since, began) >= needed
        counted = len(every) > 1 and one in every[-2].counting
        assert (one in last.counting) == (long_enough or counted)
    assert (last.judged.standing is Standing.VIOLATED) == bool(last.counting)
    never_right = set.intersection(*(one.not_right for one in of_round))
    if last.judged.standing is Standing.HOLDS:
        assert not never_right
    if last.judged.standing is Standing.UNVERIFIED:
        assert never_right - {one.name for one in last.counting}
