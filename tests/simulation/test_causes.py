"""Every small history of a key, applied wrongly in every way: the cause that is told is the true one, or unknown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated.misapplied import (
    ALTERED,
    APPLIERS,
    DOUBLED,
    LOST,
    ROGUE,
    WAYS,
    Play,
    faults,
    judged,
    keeps_to_the_assumptions,
    plays,
)

from verifier.cause import STEPS_MAX
from verifier.drift import DriftCause
from verifier.replay import Applying

_STRIDE = 53
"""Of the histories of three changes every so-manieth is looked at; a prime, so that all dimensions are met."""


@pytest.mark.parametrize("ways", [None, WAYS], ids=["any applier", "known applier"])
@pytest.mark.parametrize("prompt", [False, True], ids=["", "prompt"])
@pytest.mark.parametrize("base", [True, False], ids=["", "base unknown"])
def test_the_cause_is_the_true_one_or_unknown(
    base: bool, prompt: bool, ways: Mapping[str, set[Applying]] | None, full: bool
) -> None:
    """Without `prompt` nothing is assumed but that equal values are no chance. With --full: all histories."""
    stride = 1 if full else _STRIDE // 4 if prompt else _STRIDE
    told: Counter[tuple[DriftCause, DriftCause]] = Counter()
    wrong = []
    for number, play in enumerate(play for play in plays(3) if not prompt or keeps_to_the_assumptions(play)):
        if number % stride:
            continue
        explanation = judged(play, base=base, prompt=prompt, ways=ways[play.applier] if ways else None)
        if explanation is None:
            continue
        true = play.fault.cause
        told[true, explanation.cause] += 1
        undecided = explanation.cause is DriftCause.UNKNOWN and true in explanation.possible
        if explanation.cause is not true and not undecided:
            wrong.append((play, explanation))
    assert not wrong, f"{len(wrong)} of {sum(told.values())}, first {wrong[:3]}"
    for cause in (LOST, DOUBLED, ALTERED, ROGUE):
        every = sum(count for (true, _), count in told.items() if true is cause)
        assert every > 0
        assert told[cause, cause] > 0 or (cause is ALTERED and not prompt), cause  # it decides at all
        print(f"{cause.value:<10} {told[cause, cause]:>7} of {every:>7} decided")


_ONE = st.sampled_from(["a", "b", "ab", "d", "i"])


@st.composite
def long_plays(draw: st.DrawFn) -> Play:
    """Longer than what is enumerated, and longer than what `explain` tries."""
    present = draw(st.booleans())
    writes: list[str] = []
    there = present
    for _ in range(draw(st.integers(1, 15))):
        write = draw(_ONE) if there else "i"
        if there and write == "i":
            write = "ab"
        writes.append(write)
        there = write != "d"
    fault = draw(st.sampled_from(list(faults(len(writes)))))
    looks = frozenset(draw(st.lists(st.integers(0, len(writes)), max_size=4)))
    applier = draw(st.sampled_from(APPLIERS))
    return Play(tuple(writes), present, applier, fault, draw(st.booleans()), looks, draw(st.booleans()))


@settings(max_examples=60, deadline=None)
@given(play=long_plays(), base=st.booleans())
def test_long_histories_are_no_different(play: Play, base: bool) -> None:
    explanation = judged(play, base=base)
    if explanation is None:
        return
    if explanation.cause not in (play.fault.cause, DriftCause.UNKNOWN):
        # What befell a step that is too long ago to be tried may look like something else that happened since.
        assert play.fault.step <= len(play.writes) - STEPS_MAX, (play, explanation)
