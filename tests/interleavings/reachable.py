"""All states that a small world can reach, numbered as they are met."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

S = TypeVar("S", bound=Hashable)


def reachable(first: S, steps: Callable[[S], Iterable[S]]) -> tuple[list[S], list[list[int]]]:
    """The states from `first` on, and the numbers of those that follow each; `first` is number 0."""
    states, successors, numbers = [first], list[list[int]](), {first: 0}
    for state in states:  # grows while it is walked
        following = []
        for after in steps(state):
            if after not in numbers:
                numbers[after] = len(states)
                states.append(after)
            following.append(numbers[after])
        successors.append(following)
    return states, successors
