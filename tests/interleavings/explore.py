"""Visit every pair of a world's state and a rule's state that any interleaving of the two can reach."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, field
from functools import cache
from typing import Protocol

from interleavings.model import See, Shape, World
from verifier.look import Publishes


class Rule(Protocol):
    """A rule of evidence as a machine that sees the world one step at a time. Its states are hashable."""

    def start(self) -> Hashable: ...

    def sees(self, state: Hashable) -> tuple[See, ...]:
        """What may be found out next; nothing when the rule has come to its verdict."""
        ...

    def told(self, state: Hashable, what: See, answer: object) -> Hashable: ...

    def verdict(self, state: Hashable) -> str:
        """`equal`, `drift: <kind>` or `undecided`, for a state in which nothing more is to be found out."""
        ...


@dataclass(slots=True)
class Explored:
    """How many pairs were visited, and how often the rule ended with which verdict."""

    states: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)

    @property
    def flaws(self) -> int:
        """Over a faithful follower every verdict of drift is one."""
        return sum(count for verdict, count in self.verdicts.items() if verdict.startswith("drift"))

    def __add__(self, other: Explored) -> Explored:
        return Explored(self.states + other.states, self.verdicts + other.verdicts)

    def __str__(self) -> str:
        found = ", ".join(f"{count:,} {verdict}" for verdict, count in sorted(self.verdicts.items()))
        return f"{self.states:,} states: {found}"


def explore(world: World, rule: Rule, *, begin: int = 0) -> Explored:
    """From the world's state `begin` and the rule's start, everywhere."""
    memory = _Memory(rule)
    count = len(world.states)
    found = Explored()
    first = memory.number(rule.start()) * count + begin
    visited, stack = {first}, [first]
    while stack:
        rule_number, world_number = divmod(stack.pop(), count)
        sees = memory.sees[rule_number]
        if not sees:
            found.verdicts[memory.verdict(rule_number)] += 1
            continue
        following = [rule_number * count + after for after in world.successors[world_number]]
        for what in sees:
            after = memory.told(rule_number, what, world.seen[what][world_number])
            following.append(after * count + world_number)
        for pair in following:
            if pair not in visited:
                visited.add(pair)
                stack.append(pair)
    found.states = len(visited)
    return found


@cache
def world(publishes: Publishes, chain: int, others: int, early: bool) -> World:
    """Made once: every rule explores the same one."""
    return World(Shape(publishes, chain, others, early))


def explored(publishes: Publishes, shapes: tuple[tuple[int, int, bool], ...], *rules: Rule) -> Explored:
    """Each rule in each world (chain, others, early), together."""
    found = Explored()
    for chain, others, early in shapes:
        for rule in rules:
            found = found + explore(world(publishes, chain, others, early), rule)
    print(f"{publishes.name.lower()}, {rules[0]}: {found}")
    return found


class _Memory:
    """Numbers the rule's states and asks its code once per distinct question."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._numbers: dict[Hashable, int] = {}
        self._states: list[Hashable] = []
        self._told: dict[tuple[int, See, object], int] = {}
        self._verdicts: dict[int, str] = {}
        self.sees: list[tuple[See, ...]] = []

    def number(self, state: Hashable) -> int:
        if state not in self._numbers:
            self._numbers[state] = len(self._states)
            self._states.append(state)
            self.sees.append(self._rule.sees(state))
        return self._numbers[state]

    def told(self, number: int, what: See, answer: object) -> int:
        question = number, what, answer
        if question not in self._told:
            self._told[question] = self.number(self._rule.told(self._states[number], what, answer))
        return self._told[question]

    def verdict(self, number: int) -> str:
        if number not in self._verdicts:
            self._verdicts[number] = self._rule.verdict(self._states[number])
        return self._verdicts[number]
