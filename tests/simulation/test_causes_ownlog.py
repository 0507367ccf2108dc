"""Every small history of a key, applied wrongly in every way by a follower that logs what it writes: the cause."""

from __future__ import annotations

from collections import Counter

import pytest
from simulated.misapplied import plays, read_in_log

from verifier.drift import DriftCause

_STRIDE = 29


@pytest.mark.parametrize("before", [0, 1, 2])
def test_the_log_tells_the_true_cause(before: int, full: bool) -> None:
    """`before`: so many of the changes may have been applied before the log began; then some is not told. Those who add
    where they should set are left out: their logs hold sums."""
    told: Counter[tuple[DriftCause, DriftCause | None]] = Counter()
    wrong = []
    several = (play for play in plays(3) if play.applier != "adding" and not play.samples and not play.looks)
    for number, play in enumerate(several):
        if number % (1 if full else _STRIDE):
            continue
        for apart in (False, True):
            for base in (False, True):
                found = read_in_log(play, apart=apart, before=before, base=base)
                if found is None:
                    continue
                (explanation,) = found
                cause = None if explanation is None else explanation.cause
                told[play.fault.cause, cause] += 1
                possible = explanation is None or play.fault.cause in (explanation.cause, *explanation.possible)
                if not possible:
                    wrong.append((play, apart, base, explanation))
    assert not wrong, f"{len(wrong)} of {told.total()}, first {wrong[:3]}"
    for cause in DriftCause:
        if cause is DriftCause.UNKNOWN:
            continue
        every = sum(count for (true, _), count in told.items() if true is cause)
        print(f"{cause.value:<10} {told[cause, cause]:>7} of {every:>7} decided")
        assert before or told[cause, cause] > 0.8 * every, cause
