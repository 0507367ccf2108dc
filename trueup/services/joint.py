"""One read of the leader for all followers whose rounds begin together, so that it pays for one of them, not for each.

Each service tells which keys it is about to look at; the first to look asks the leader for the keys of all, and the
others take theirs from that answer. The visibility rule (DESIGN 3.1) wants no order between the looks at both sides and
judges each pair by what either saw: an answer that is some milliseconds old is as good a look as one's own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from threading import Condition, Lock

from verifier.look import Look, Row
from verifier.ports import Replica
from verifier.position import Position
from verifier.table import Key, Table, TableName

_MEET_SECONDS = 0.02
_KEYS_MAX = 10_000


@dataclass(slots=True)
class _Asked:
    """What the leader was asked of one table in a round, and what it answered."""

    lock: Lock = field(default_factory=Lock)
    table: Table | None = None
    keys: frozenset[Key] = frozenset()
    look: Look[Mapping[Key, int]] | None = None


@dataclass(slots=True)
class _Round:
    number: int
    wanted: dict[str, Mapping[TableName, Collection[Key]]] = field(default_factory=dict)
    asked: dict[TableName, _Asked] = field(default_factory=dict)


@dataclass(slots=True)
class JointLooks:
    """`followers` is how many there are; who begins a round waits at most `meet_seconds` for the others."""

    leader: Replica
    followers: int
    meet_seconds: float = _MEET_SECONDS
    _round: _Round | None = None
    _changed: Condition = field(default_factory=Condition)

    def begin(self, follower: str, number: int, wanted: Mapping[TableName, Collection[Key]]) -> JointLeader:
        """The follower begins the round of this number and will look at these keys; the leader as it is to ask it."""
        with self._changed:
            current = self._round
            if current is None or current.number < number:
                current = self._round = _Round(number)
            if current.number == number and follower not in current.wanted:
                current.wanted[follower] = wanted
                self._changed.notify_all()
                self._changed.wait_for(lambda: len(current.wanted) >= self.followers, self.meet_seconds)
                return JointLeader(self.leader, self, current)
        return JointLeader(self.leader, self, None)

    def asked(self, current: _Round, table: TableName) -> tuple[_Asked, set[Key]]:
        """What is known of the table in this round, and the keys that anybody wants of it."""
        with self._changed:
            known = current.asked.setdefault(table, _Asked())
            return known, {key for wanted in current.wanted.values() for key in wanted.get(table, ())}


@dataclass(frozen=True, slots=True)
class JointLeader:
    """The leader as one follower's judgements ask it during a round. Errors as the leader raises them."""

    leader: Replica
    joint: JointLooks
    current: _Round | None

    def point_digests(self, table: Table, keys: Collection[Key]) -> Look[Mapping[Key, int]]:
        """As `Replica.point_digests`: asked for the keys of all, unless that was done."""
        if self.current is None:
            return self.leader.point_digests(table, keys)
        known, wanted = self.joint.asked(self.current, table.name)
        with known.lock:
            if known.look is None and wanted.issuperset(keys) and len(wanted) <= _KEYS_MAX:
                known.look = self.leader.point_digests(table, wanted)
                known.table, known.keys = table, frozenset(wanted)
            look = known.look if known.table == table and known.keys.issuperset(keys) else None
        if look is None:
            return self.leader.point_digests(table, keys)
        return replace(look, value={key: look.value[key] for key in keys if key in look.value})

    def rows(self, table: Table, keys: Collection[Key]) -> Look[Mapping[Key, Row]]:
        """As `Replica.rows`."""
        return self.leader.rows(table, keys)

    def position(self) -> Position:
        """As `Replica.position`."""
        return self.leader.position()
