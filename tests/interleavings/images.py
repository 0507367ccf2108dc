"""The rule of after-images as a machine for the explorer: what a follower shows of a key, held against the stream.

The key is judged by its images wherever the two looks can be judged at all, also where it is not in flight: the rule
must not err there either. `missed` changes are lost to the stream in the middle; `watched` says how many transactions
of the log had been read when the watch began.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace

from interleavings.rules import JUDGED, TABLE, Gathered, VisibilityRule, _told, _transaction
from verifier.change import Batch, Blindness, Cause, Change, Operation, Transaction
from verifier.drift import Certainty, Evidence, Method
from verifier.images import AfterImages, judge_image
from verifier.look import Look, Publishes, Row
from verifier.outcome import Differs, Equal
from verifier.position import Tick
from verifier.table import Column, Family, Table
from verifier.window import Settled, TransactionWindow

_JUDGED_TABLE = Table(TABLE, (Column("id", Family.INTEGER, "bigint"), Column("v", Family.TEXT, "text")), ("id",))
_EVIDENCE = Evidence(Certainty.PROVEN, Method.VISIBILITY)


@dataclass(frozen=True, slots=True)
class ImagesRule(VisibilityRule):
    """DESIGN 3.1, last paragraph. `holds[version]`: is there a row after so many changes of it? `damaged`: what the
    follower shows instead of its row, if not False."""

    holds: tuple[bool, ...] = (True,) * 5
    watched: int = 0
    missed: int | None = None
    damaged: Row | bool | None = False

    def verdict(self, state: Hashable) -> str:
        assert isinstance(state, Gathered)
        assert state.leader is not None
        assert state.follower is not None
        leader = Look(state.leader[0], Tick(state.leader[1]), Tick(state.leader[1]), state.leader[2])
        follower = Look(state.follower[0], Tick(_told(state.low)), Tick(_told(state.high)), state.follower[1])
        window, images = self._fed(state)
        if self.prunes:
            images.prune([follower.low])
            window.prune([leader.view], [follower.low])
        settled = Settled(Tick(_told(state.settled_position)), _told(state.settled_mark)) if self.settles else None
        publishes = Publishes.TOGETHER if self.without == "widening" else self.publishes
        barrier = Tick(len(state.log or ()))
        if not window.in_flight(TABLE, leader, follower, publishes, barrier=barrier, settled=settled).judgeable:
            return "undecided"
        bounds = window.bounds(TABLE, follower, publishes, settled)
        if self.without == "low":
            bounds = replace(bounds, surely=follower.high)
        states = images.states(TABLE, JUDGED, bounds)
        if states is None:
            return "undecided"
        ours, theirs = self._row(leader.value), self._row(follower.value)
        if not isinstance(self.damaged, bool):
            theirs = self.damaged
        outcome = judge_image(_JUDGED_TABLE, states, ours, theirs, _EVIDENCE)
        if isinstance(outcome, Differs):
            return f"drift: {outcome.kind.value}"
        return "equal" if isinstance(outcome, Equal) else "undecided"

    def _fed(self, state: Gathered) -> tuple[TransactionWindow, AfterImages]:
        window, images = TransactionWindow(), AfterImages()
        window.begin(Tick(_told(state.valid_from)))
        images.begin(Tick(_told(state.valid_from)))
        window.set_mark(_told(state.valid_mark))
        if self.watched == 0:
            images.watch(TABLE, [JUDGED])
        arrived = self._arrived(state.log or ())
        for at, transaction in enumerate(arrived, 1):
            blind: tuple[Blindness, ...] = ()
            if at == self.missed:
                blind = () if self.without == "word of the gap" else (Blindness(Cause.GAP, TABLE),)
            batch = Batch((transaction,), Tick(at), blind=blind)
            taken = window.add(batch)
            images.add(batch, taken if at != self.missed else ())
            if at == self.watched:
                images.watch(TABLE, [JUDGED])
        again = Batch(tuple(arrived), Tick(len(arrived)))  # all of it comes again
        images.add(again, window.add(again))
        window.set_mark(0)
        return window, images

    def _arrived(self, log: tuple[tuple[int, bool], ...]) -> list[Transaction]:
        version, found = 0, []
        for at, (xid, judged) in enumerate(log, 1):
            transaction = _transaction(xid, at, judged)
            if judged:
                version += 1
                row = self._row(version)
                change = Change(TABLE, JUDGED, Operation.DELETE) if row is None else None
                change = change or Change(TABLE, JUDGED, Operation.UPDATE, row.values if row else None)
                transaction = transaction._replace(changes=(change,))
            found.append(transaction)
        return found

    def _row(self, version: int) -> Row | None:
        return Row({"id": "1", "v": str(version)}, version, str(version)) if self.holds[version] else None
