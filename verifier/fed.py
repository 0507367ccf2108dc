"""A follower of any engine that a sink of Kafka Connect feeds, seen as any other: its positions are the leader's.

The server itself tells nothing of the leader's log. What it shows at least follows from the offsets that the sink had
committed before a look (`verifier.offsets`), and at most from where the leader is after it. Of a transaction in between
it may show some rows only, since a sink applies row by row.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from verifier.digest import Digest
from verifier.errors import Misconfigured, Temporary
from verifier.features import Feature
from verifier.furthest import Place
from verifier.keyrange import KeyRange
from verifier.look import Look, Publishes, Row
from verifier.offsets import AfterEnds, OffsetIndex, Offsets
from verifier.ports import Answer, Clock, Explanation, Identity, Replica
from verifier.position import NOWHERE, Position
from verifier.table import Column, Key, Table, TableName
from verifier.view import Mark, NoView

T = TypeVar("T")
_WAIT_SECONDS = 5.0
_POLL_SECONDS = 0.005
_BEHIND = "what was sent again has set rows back: waiting until it has come as far as it had been before"
_APPLYING = "the sink has not yet committed as much as must be applied before anything is certain"


class SinkOffsets(Protocol):
    """What the broker tells of a sink. Temporary while it does not answer, Forbidden if it refuses us."""

    @property
    def group(self) -> str:
        """The sink's consumer group, for people."""
        ...

    def committed(self, places: Collection[Place] = ()) -> Offsets:
        """By partition of the topics of the leader's connector: all below is in the follower. Those of which nothing
        was committed are left out. Of these `places`; of all, which takes longer, if there are none."""
        ...

    def close(self) -> None: ...

    def ends(self, places: Collection[Place]) -> Offsets:
        """Asked afresh: the offsets behind the last message of each."""
        ...


@dataclass(slots=True)
class FedFollower:
    """A `Replica`. `prefix` begins the topics of the leader's connector, of which `index` knows what lies where;
    `topic_of` names that of a table, from the prefix and its name."""

    replica: Replica
    leader: Replica
    sink: SinkOffsets
    index: OffsetIndex
    prefix: str
    topic_of: Callable[[str, TableName], str] = "{}.{}".format

    @property
    def name(self) -> str:
        return self.replica.name

    @property
    def publishes(self) -> Publishes:
        return Publishes.ROW_BY_ROW

    @property
    def dialect(self) -> str:
        return self.replica.dialect

    @property
    def default_schema(self) -> str | None:
        return self.replica.default_schema

    def canonical(self, column: Column) -> bool:
        return self.replica.canonical(column)

    def identity(self) -> Identity:
        return self.replica.identity()

    def tables(self, patterns: Sequence[str]) -> Sequence[TableName]:
        return self.replica.tables(patterns)

    def expect(self, names: Sequence[TableName]) -> None:
        self.replica.expect(names)

    def table(self, name: TableName) -> Table:
        return self.replica.table(name)

    def features(self, name: TableName) -> Sequence[Feature]:
        return self.replica.features(name)

    def position(self) -> Position:
        """What it shows at least, in every partition that the sink reads. Temporary while nothing is certain,
        Misconfigured if the sink reads none."""
        committed = self.sink.committed(self.index.places())
        if not committed:
            raise Misconfigured(
                f"{self.name}: consumer group {self.sink.group} has committed no offset in a topic of {self.prefix!r}, "
                "so nobody can say what the sink has applied: is fed_by.kafka_connect_sink the sink's name, and does "
                "it run"
            )
        if self.index.unsettled:
            self._mind_the_fence()
        shown = self.index.surely(committed, committed.keys())
        if shown is None:
            raise Temporary(f"{self.name}: {self._doubt(committed.keys())}")
        return shown

    def mark(self, shown: Position | None = None) -> Mark:
        return 0

    def boundary(self, table: Table, after: Key | None, rows: int) -> Key | None:
        return self.replica.boundary(table, after, rows)

    def digest(self, table: Table, within: KeyRange) -> Look[Digest]:
        """By itself: nobody judges it by its positions."""
        return _somewhere(self.replica.digest(table, within))

    def multiset(self, table: Table) -> Look[Mapping[int, int]]:
        return _somewhere(self.replica.multiset(table))

    def row_digests(self, table: Table, within: KeyRange) -> Look[Mapping[Key, int]]:
        return _somewhere(self.replica.row_digests(table, within))

    def point_digests(self, table: Table, keys: Collection[Key]) -> Look[Mapping[Key, int]]:
        committed = self._committed(table)
        return self._between(committed, table, self.replica.point_digests(table, keys))

    def rows(self, table: Table, keys: Collection[Key]) -> Look[Mapping[Key, Row]]:
        committed = self._committed(table)
        return self._between(committed, table, self.replica.rows(table, keys))

    def explain(self, table: Table, within: KeyRange) -> Explanation:
        return self.replica.explain(table, within)

    def ask(self, sql: str, *, rows_max: int, seconds_max: float) -> Look[Answer]:
        return _somewhere(self.replica.ask(sql, rows_max=rows_max, seconds_max=seconds_max))

    def running(self) -> int:
        return self.replica.running()

    def close(self) -> None:
        self.replica.close()

    def _committed(self, table: Table) -> Offsets:
        """Of the partitions in which its rows lie; of all while none is known."""
        return self.sink.committed(self.index.places(table.name, self.topic_of(self.prefix, table.name)))

    def _between(self, committed: Offsets, table: Table, look: Look[T]) -> Look[T]:
        """The look with its bounds, which hold if what the sink may have applied by now is known when it is judged."""
        epoch = self.index.epoch
        places = self.index.places(table.name, self.topic_of(self.prefix, table.name))
        wanted = self.index.places() if self.index.unsettled else places
        ends = self.sink.ends(wanted)
        self.index.fence(ends, epoch)
        theirs = {place: ends[place] for place in places if place in ends}
        low = self.index.surely(committed, theirs)
        doubt = "" if low is not None else self._doubt(theirs)
        if not theirs:
            low, doubt = None, f"no topic of {table.name} is known"
        proviso = AfterEnds(self.index, theirs, epoch, doubt)
        return Look(look.value, low or NOWHERE, self.leader.position(), NoView(), proviso)

    def _doubt(self, places: Collection[Place]) -> str:
        """Why nothing is certain of these partitions."""
        return self.index.unsettled or (_BEHIND if self.index.furthest.behind(places) else _APPLYING)

    def _mind_the_fence(self) -> None:
        epoch = self.index.epoch
        self.index.fence(self.sink.ends(self.index.places()), epoch)


@dataclass(slots=True)
class FedBracket:
    """What the bracketed rule asks of such a follower: a `Placed` whose looks have no proviso any more, because they
    wait until it is known to hold. Temporary if it does not, or is not known in time."""

    follower: FedFollower
    clock: Clock
    _shown: Position | None = None
    """What was said to be applied: a look that may show less would undo it."""

    @property
    def name(self) -> str:
        return self.follower.name

    @property
    def publishes(self) -> Publishes:
        return self.follower.publishes

    def position(self) -> Position:
        self._shown = self.follower.position()
        return self._shown

    def mark(self, shown: Position | None = None) -> Mark:
        return self.follower.mark(shown)

    def rows(self, table: Table, keys: Collection[Key]) -> Look[Mapping[Key, Row]]:
        return self._held(self.follower.rows(table, keys))

    def point_digests(self, table: Table, keys: Collection[Key]) -> Look[Mapping[Key, int]]:
        return self._held(self.follower.point_digests(table, keys))

    def digest(self, table: Table, within: KeyRange) -> Look[Digest]:
        return self.follower.digest(table, within)

    def multiset(self, table: Table) -> Look[Mapping[int, int]]:
        return self.follower.multiset(table)

    def _held(self, look: Look[T]) -> Look[T]:
        proviso, until = look.proviso, self.clock.now() + _WAIT_SECONDS
        assert proviso is not None
        while lacking := proviso.lacking():
            if refused := proviso.refused():
                raise Temporary(f"{self.name}: {refused}")
            if self.clock.now() >= until:
                raise Temporary(f"{self.name}: {lacking}")
            self.clock.sleep(_POLL_SECONDS)
        if refused := proviso.refused():
            raise Temporary(f"{self.name}: {refused}")
        if self._shown is not None and not look.low.covers(self._shown):
            raise Temporary(f"{self.name}: it may have gone back since it was said to be at {self._shown.text()}")
        return replace(look, proviso=None)


@dataclass(slots=True)
class FedUnread:
    """A `Placed` for such a follower where nobody reads the stream: how far it is nobody can say, and it must not be
    taken for a copy that follows nobody."""

    replica: Replica

    @property
    def name(self) -> str:
        return self.replica.name

    @property
    def publishes(self) -> Publishes:
        return Publishes.ROW_BY_ROW

    def position(self) -> Position:
        raise Misconfigured(
            f"{self.name} is fed by a sink, and how far it is can only be told beside the stream: audit with --stream "
            "config, or with a watermark, or let the daemon judge it"
        )

    def mark(self, shown: Position | None = None) -> Mark:
        return 0

    def rows(self, table: Table, keys: Collection[Key]) -> Look[Mapping[Key, Row]]:
        return _somewhere(self.replica.rows(table, keys))

    def point_digests(self, table: Table, keys: Collection[Key]) -> Look[Mapping[Key, int]]:
        return _somewhere(self.replica.point_digests(table, keys))

    def digest(self, table: Table, within: KeyRange) -> Look[Digest]:
        return _somewhere(self.replica.digest(table, within))

    def multiset(self, table: Table) -> Look[Mapping[int, int]]:
        return _somewhere(self.replica.multiset(table))


def _somewhere(look: Look[T]) -> Look[T]:
    return Look(look.value, NOWHERE, NOWHERE, NoView())
