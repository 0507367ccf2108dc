"""Small histories of one key, applied wrongly in every way, for `verifier.cause` to tell why.

A follower takes changes in one slot each, as an applier does. A `Play` is one history: what the leader wrote, whether
it did so before the follower's first slot or between its slots, one fault, the looks that may have found the row equal,
and whether samples date the follower's row version. `perform` knows the truth, and tells what trueup may know of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product

from verifier.cause import Chain, Explanation, Known, Step, explain
from verifier.change import Operation
from verifier.drift import DriftCause
from verifier.ownlog import Image, OwnLog, read
from verifier.replay import UNKNOWN, Applying, State

INSERT, UPDATE, DELETE = Operation.INSERT, Operation.UPDATE, Operation.DELETE
LOST, DOUBLED, REORDERED = DriftCause.LOST, DriftCause.DOUBLED, DriftCause.REORDERED
ALTERED, ROGUE = DriftCause.ALTERED, DriftCause.ROGUE

Row = Mapping[str, str]
Writes = tuple[str, ...]
"""What each change writes: `i` inserts, `d` deletes, `a`, `b`, `ab` update these columns."""
APPLIERS = ("whole", "known", "changed", "adding")


@dataclass(frozen=True)
class Fault:
    """`cause` befalls `step` (from 1); `after`: the slot behind which something happens, or somebody writes `what`."""

    cause: DriftCause
    step: int
    after: int = 0
    what: str = ""


@dataclass(frozen=True)
class Play:
    writes: Writes
    present: bool
    applier: str
    fault: Fault
    burst: bool
    looks: frozenset[int]
    samples: bool


def leader(writes: Writes, present: bool) -> list[Row | None]:
    """The states of the leader's row; each value is written once, so a value tells who wrote it."""
    states: list[Row | None] = [{"id": "1", "a": "1", "b": "10"} if present else None]
    for number, write in enumerate(writes, 1):
        row = states[-1]
        if write == "d":
            states.append(None)
        elif write == "i":
            states.append({"id": "1", "a": str(100**number), "b": str(3 * 100**number)})
        else:
            assert row is not None
            states.append({**row, **{name: str(int(row[name]) + 7 * 100**number) for name in write}})
    return states


def histories(most: int) -> Iterator[tuple[Writes, bool]]:
    for present in (True, False):
        begun: list[tuple[Writes, bool]] = [((), present)]
        for _ in range(most):
            begun = [
                ((*writes, write), write != "d")
                for writes, there in begun
                for write in (("a", "b", "ab", "d") if there else ("i",))
            ]
            yield from ((writes, present) for writes, _ in begun)


def faults(steps: int) -> Iterator[Fault]:
    for step in range(1, steps + 1):
        yield Fault(LOST, step)
        yield Fault(LOST, step, what="and all behind it")
        yield from (Fault(DOUBLED, step, after) for after in range(step, steps + 1))
        yield from (Fault(REORDERED, step, after) for after in range(step + 1, steps + 1))
        yield from (Fault(ALTERED, step, what=column) for column in ("a", "b"))
    for after in range(steps + 1):
        yield from (Fault(ROGUE, 0, after, what) for what in ("delete", "insert", "a", "b"))


@dataclass
class Follower:
    """`version` counts the moments of the play; None while there is no row."""

    row: Row | None
    version: int | None
    moment: int = 0

    def write(self, row: Row | None) -> None:
        self.row, self.version = row, None if row is None else self.moment


def apply(follower: Follower, states: list[Row | None], writes: Writes, step: int, applier: str, altered: str) -> None:
    write, before, after = writes[step - 1], states[step - 1], states[step]
    if write == "d":
        if follower.row is not None:
            follower.write(None)
        return
    assert after is not None
    new = dict(after)
    if altered:
        new[altered] = "666"
    if write == "i":
        if applier == "whole" or follower.row is None:
            follower.write(new)
        return
    if applier != "whole" and follower.row is None:
        return
    held = follower.row or {}
    if applier in ("changed", "adding"):
        assert before is not None
        new = {name: value for name, value in new.items() if name in write}
    if applier == "adding" and not altered:
        assert before is not None
        new = {name: str(int(held[name]) + int(after[name]) - int(before[name])) for name in new}
    follower.write({**held, **new})


@dataclass
class _Performance:
    """A play under way. `samples`: moment, steps applied, steps that exist."""

    play: Play
    states: list[Row | None]
    follower: Follower
    seen: int | None = None
    samples: list[tuple[int, int, int]] = field(default_factory=list)
    possible: bool = True

    def run(self) -> None:
        play, steps = self.play, len(self.play.writes)
        if play.burst:
            self._sample(0, 0)
            self.seen = 0 if 0 in play.looks else None
        else:
            self._rest(0)
        for slot in range(steps + 1):
            if slot and not self._skipped(slot):
                altered = play.fault.what if play.fault.cause is ALTERED and slot == play.fault.step else ""
                apply(self.follower, self.states, play.writes, slot, play.applier, altered)
            if slot == play.fault.after:
                self._misbehave(slot)
            if slot and not (play.burst and slot < steps):
                self._rest(slot)

    def _skipped(self, slot: int) -> bool:
        fault = self.play.fault
        if fault.cause is LOST:
            return slot == fault.step or (bool(fault.what) and slot > fault.step)
        return fault.cause is REORDERED and slot == fault.step

    def _misbehave(self, slot: int) -> None:
        """What happens behind this slot."""
        play, fault = self.play, self.play.fault
        if fault.cause in (DOUBLED, REORDERED):
            if fault.cause is DOUBLED and not play.burst:
                self._rest(slot)
            apply(self.follower, self.states, play.writes, fault.step, play.applier, "")
        elif fault.cause is ROGUE:
            if not play.burst or slot == len(play.writes):
                self._rest(slot)
            self.possible = happened(self.follower, fault.what)

    def _rest(self, applied: int) -> None:
        """A pause between slots: somebody samples, or looks."""
        self._sample(applied, len(self.play.writes) if self.play.burst else applied)
        if applied in self.play.looks and self.follower.row == self.states[applied]:
            self.seen = applied

    def _sample(self, applied: int, existing: int) -> None:
        if self.play.samples:
            self.samples.append((self.follower.moment + 1, applied, existing))
        self.follower.moment += 2


def perform(play: Play) -> tuple[Follower, list[Row | None], Known] | None:
    """The follower at the end, and what trueup may know. None if the fault cannot happen, or left no trace."""
    states, fault = leader(play.writes, play.present), play.fault
    if fault.cause is ALTERED and fault.what not in _written(play.writes[fault.step - 1], play.applier):
        return None
    played = _Performance(play, states, Follower(states[0], 0 if play.present else None))
    played.run()
    follower, version = played.follower, played.follower.version
    if not played.possible or follower.row == states[-1]:
        return None
    passed = existed = None
    if version is not None:
        passed = max((applied for at, applied, _ in played.samples if at <= version), default=None)
        existed = min((existing for at, _, existing in played.samples if at > version), default=None)
    return follower, states, Known(played.seen, passed, existed)


def _written(write: str, applier: str) -> str:
    """The columns that may arrive altered."""
    if write == "d":
        return ""
    return "ab" if write == "i" or applier in ("whole", "known") else write


def happened(follower: Follower, what: str) -> bool:
    """Somebody else writes."""
    if what == "insert":
        if follower.row is not None:
            return False
        follower.write({"id": "1", "a": "777", "b": "778"})
    elif follower.row is None:
        return False
    elif what == "delete":
        follower.write(None)
    else:
        follower.write({**follower.row, what: "779"})
    return True


def judged(
    play: Play, *, base: bool = True, prompt: bool = False, ways: set[Applying] | None = None
) -> Explanation | None:
    played = perform(play)
    if played is None:
        return None
    follower, states, known = played
    return explain(
        _told(play, states, base=base),
        State(follower.row),
        Known(known.seen, known.passed, known.existed, prompt, None, frozenset(ways or Applying)),
    )


def _told(play: Play, states: list[Row | None], *, base: bool) -> Chain:
    """What the stream tells of the row: the leader's steps, and the state before them where it is known."""
    kinds = {"d": DELETE, "i": INSERT}
    steps = tuple(Step(kinds.get(write, UPDATE), states[k]) for k, write in enumerate(play.writes, 1))
    return Chain(State(states[0]) if base or states[0] is None else UNKNOWN, steps, State(states[-1]))


def plays(most: int) -> Iterator[Play]:
    for writes, present in histories(most):
        steps = len(writes)
        looked = [frozenset[int](), frozenset(range(steps + 1)), frozenset({0}), frozenset({steps})]
        for fault, applier, burst, looks, samples in product(
            faults(steps), APPLIERS, (False, True), looked, (False, True)
        ):
            yield Play(writes, present, applier, fault, burst, looks, samples)


def keeps_to_the_assumptions(play: Play) -> bool:
    """What `prompt` takes for granted: a look after every change, or after all of a burst; nobody else writes between a
    change and its look; who adds where others set is told by what was lost, doubled or reordered alone."""
    steps, fault = len(play.writes), play.fault
    if play.looks != frozenset(range(steps + 1)):
        return False
    return fault.cause is not ROGUE or fault.after == steps or not (play.burst or play.applier == "adding")


WAYS = {
    "whole": {Applying.WHOLE},
    "known": {Applying.KNOWN},
    "changed": {Applying.CHANGED},
    "adding": {Applying.ADDING, Applying.CHANGED},
}


def images_of(play: Play, *, apart: bool, before: int = 0) -> tuple[Image, ...]:
    """What a follower that logs what it writes wrote in this play, behind the slot `before`. `apart`: what came again
    or late came with a transaction of another row, else with that of the slot behind which it came."""
    states = leader(play.writes, play.present)
    follower = Follower(states[0], 0 if play.present else None)
    found: list[Image] = []

    def noted(step: int | None, foreign: bool = False) -> None:
        if follower.row is not held and slot > before:
            found.append(Image(State(follower.row), step, foreign))

    fault = play.fault
    for slot in range(len(play.writes) + 1):
        held = follower.row
        lost = fault.cause is LOST and (slot == fault.step or (bool(fault.what) and slot > fault.step))
        if slot and not lost and not (fault.cause is REORDERED and slot == fault.step):
            altered = fault.what if fault.cause is ALTERED and slot == fault.step else ""
            apply(follower, states, play.writes, slot, play.applier, altered)
            noted(slot)
        if slot == fault.after and fault.cause in (DOUBLED, REORDERED, ROGUE):
            held = follower.row
            if fault.cause is ROGUE:
                happened(follower, fault.what)
            else:
                apply(follower, states, play.writes, fault.step, play.applier, "")
            noted(None if apart else slot, fault.cause is ROGUE)
    return tuple(found)


def read_in_log(play: Play, *, apart: bool, before: int = 0, base: bool = True) -> tuple[Explanation | None] | None:
    """What the follower's own log tells; None if the fault left no trace."""
    played = perform(play)
    if played is None:
        return None
    follower, states, _ = played
    log = OwnLog(images_of(play, apart=apart, before=before), before, frozenset(WAYS[play.applier]))
    return (read(_told(play, states, base=base), State(follower.row), log),)
