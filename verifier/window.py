"""The transactions of the change stream, kept for as long as a judgement may need them, and the set `D` in flight.

A *floor* says below what nothing is known: transactions that committed at or before `floor.position` may be missing
here. They do no harm to a judgement if both looks certainly saw them, so each look must prove that it did: the
leader's view that every transaction with an id below `floor.mark` had ended, the follower's look that it shows
everything through `floor.position`. Starting, losing a piece of the stream, pruning and overflowing are therefore
one operation, raising the floor, and its price is a judgement refused, never a wrong one.

`D` (DESIGN 3.1) holds the keys of every transaction that one look saw, or may have seen, and the other may not have:

    D = keys of {tx: possibly shown by the follower, not surely seen by the leader's view}
      + keys of {tx: not surely shown by the follower, possibly seen by the leader's view}

Which transactions a follower's look possibly and surely shows follows from its two positions, and in each of the
two orders of showing and publishing one of the two bounds is off by one transaction (`verifier.look.Publishes`).

PostgreSQL's transactions have an id that the leader's view knows, and positions of one order. Those of MariaDB and
MySQL have global ids in place of both: `Transaction.commit` is the transaction's own id, with its place in the binlog
where the stream knows it (`Logged`), and both looks tell by positions what they showed (`verifier.identified`). There
`Transaction.xid` is for people alone, and a floor is everything that was left out, not merely the last of it.

Where numbers of one domain do not only grow (MariaDB without gtid_strict_mode), a position does not tell what a
follower shows. From such a transaction on nothing is judged, until one with a higher number has come behind it: whoever
shows that one shows all that came before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from verifier.change import Batch, Blindness, Cause, Transaction
from verifier.commits import Commits, Settled
from verifier.disorder import passed
from verifier.errors import Unsound
from verifier.gtid import Binlog, DomainGtids
from verifier.identified import Identified, identifies
from verifier.images import Bounds
from verifier.look import Look, Publishes
from verifier.lots import Entry, Lots
from verifier.numbered import Numbered
from verifier.position import Position
from verifier.table import Key, TableName
from verifier.view import Mark, View, sooner

T = TypeVar("T")

CHANGES_MAX = 200_000
KEYS_BYTES = 64 << 20
"""Text of keys: of as many that have 300 characters each, and of any that are numbers."""
_DISORDER = "{} came behind a higher number of its domain, or the same; set global gtid_strict_mode = ON"


@dataclass(frozen=True, slots=True)
class InFlight:
    """What the window says about a pair of looks at one table.

    Only if `ready` and not `all`: every key outside `keys` was looked at on both sides after exactly the same
    transactions. Not `ready`: ask again about the same looks once the stream has been read further. `all`: these
    two looks can never be judged; look again. `why` tells the reason of either in words for people.
    """

    keys: frozenset[Key] = frozenset()
    all: bool = False
    ready: bool = True
    why: str = ""

    @property
    def judgeable(self) -> bool:
        return self.ready and not self.all


@dataclass(slots=True)
class _Floor:
    position: Position | None
    mark: Mark | None
    why: str


class TransactionWindow:
    """Fed with every batch of one leader's stream, in order; asked about pairs of looks.

    `begin`, and each loss that a batch reports, leaves the window in need of a mark (`needs_mark`): ask the leader
    for `mark()` then, and pass it to `set_mark`. Until that happened nothing is judged.
    """

    def __init__(self, *, changes_max: int = CHANGES_MAX, bytes_max: int = KEYS_BYTES) -> None:
        """At most about `changes_max` changes are kept, whose keys have about `bytes_max` bytes."""
        self._changes_max, self._bytes_max = changes_max, bytes_max
        self._joined: dict[TableName, _Floor] = {}
        self.begin(None)

    def begin(self, valid_from: Position | None) -> None:
        """Forget everything: the stream starts at `valid_from` (None: its first `read_through` will say where)."""
        self._entries: list[Entry] = []
        self._lots = Lots()
        self._commits: Commits = Numbered()  # parallel to the entries
        self._changes = 0
        self._read_through: Position | None = valid_from
        self._disorder: DomainGtids | None = None
        self._floors: dict[TableName | None, _Floor] = {
            None: _Floor(valid_from, None, "the change stream began after these looks")
        }

    @property
    def read_through(self) -> Position | None:
        return self._read_through

    @property
    def disordered(self) -> bool:
        """Whether the ids of the latest transactions tell nothing. How far the stream was read by then must not be
        recorded: whoever began behind it would not know."""
        return self._disorder is not None

    @property
    def changes(self) -> int:
        """How many changes are kept, for metrics; never much more than `changes_max`."""
        return self._changes

    @property
    def needs_mark(self) -> bool:
        return any(floor.mark is None and floor.position is not None for floor in self._floors.values())

    def set_mark(self, mark: Mark) -> None:
        """The leader's `mark()`, asked once `needs_mark` is true: what committed below the floor has a lower id."""
        for floor in self._floors.values():
            if floor.mark is None and floor.position is not None:
                floor.mark = mark

    def join(self, table: TableName, position: Position | None = None, mark: Mark | None = None) -> None:
        """The stream tells of `table` from now on, and its source may have kept earlier changes of it to itself: those
        of transactions with ids below `mark`, all of which had ended at `position`. Both None: not known yet."""
        self._joined[table] = _Floor(position, mark, "the stream did not always tell of this table")
        self._place_floors()

    def add(self, batch: Batch) -> list[Transaction]:
        """Take in what one poll brought; returns the transactions that were new. Unsound if the stream delivers behind
        a barrier that it has declared."""
        taken = self._follow(batch.transactions)
        through = self._in_order(batch.read_through)
        if through is not None and not _covers(self._read_through, through):
            self._read_through = through
        for blindness in batch.blind:
            self._lose(blindness, through)
        if through is not None:
            for floor in self._floors.values():
                if floor.position is None:
                    floor.position = through
        self._place_floors()
        self._lots.take(self._entries)
        if self._changes > self._changes_max or self._lots.bytes > self._bytes_max:
            self._overflow()
        return taken

    def in_flight(
        self,
        table: TableName,
        leader: Look[T],
        follower: Look[T],
        publishes: Publishes,
        *,
        barrier: Position,
        settled: Settled | None = None,
    ) -> InFlight:
        """Which keys of `table` these two looks cannot judge.

        `barrier` is a position of the leader taken after both looks; the stream must have been read through it,
        because only then is the first commit behind `follower.high` known, and every transaction that the leader's
        look saw. `settled`, asked before the follower's look, makes a subscriber's lower bound exact.
        """
        if (hindered := self._hindered(follower)) is not None:
            return hindered
        commits = self._fit(barrier)
        for needed in commits.needed(barrier, leader, follower):
            # A MariaDB leader places its look by the file alone, and the stream may know only where the last
            # transaction began: on an idle leader the ids of the barrier, taken later, tell that there is no more.
            implied = needed is not barrier and barrier.covers(needed)
            if not implied and not _covers(self._read_through, needed):
                return InFlight(ready=False, why=f"the change stream has not been read through {needed.text()} yet")
        certain = commits.certain(follower, publishes, settled, self._floors[None].position)
        if not follower.high.covers(follower.low):
            return InFlight(all=True, why="the follower's applied position went backwards during the look")
        refused = self._refusal(table, leader.view, certain.position)
        if refused:
            return InFlight(all=True, why=refused)
        keys: set[Key] = set()
        for index, straddled in commits.doubtful(leader, follower, publishes, certain):
            tables, blind, _ = self._entries[index]
            for blindness in blind if straddled or commits.early else ():
                if blindness.table in (None, table):
                    return InFlight(all=True, why=blindness.cause.value)
            if straddled:
                keys.update(tables.get(table, ()))
        return InFlight(frozenset(keys))

    def bounds(
        self, table: TableName, follower: Look[T], publishes: Publishes, settled: Settled | None = None
    ) -> Bounds:
        """Where between commits a follower's look stands, for a pair of looks that `in_flight` called judgeable."""
        certain = self._commits.certain(follower, publishes, settled, self._floors[None].position)
        floors = tuple(one.position for one in (self._floors.get(table), self._joined.get(table)) if one is not None)
        by_rows = publishes is Publishes.ROW_BY_ROW
        return Bounds(certain.position, self._commits.perhaps(follower, publishes), floors, by_rows)

    def prune(self, views: Iterable[View], lows: Iterable[Position]) -> int:
        """Forget what no later judgement can need; returns how many transactions that were.

        `views` are leader looks' and `lows` one applied position per follower. Looks older than these can no longer
        be judged afterwards: they are refused, not misjudged.
        """
        count = self._commits.spare(views, lows)
        return self._drop(count, "the change stream before these looks is no longer kept")

    # what arrives

    def _follow(self, transactions: Sequence[Transaction]) -> list[Transaction]:
        """Take these in; returns those that were new. Most stand behind all that is known, and are not looked up."""
        taken: list[Transaction] = []
        newest: Position | None = None
        for transaction in transactions:
            commit = transaction.commit
            if newest is not None and not newest.covers(commit) and commit.covers(newest):
                self._keep(transaction)
                newest = commit
            elif self._append(transaction):
                newest = self._commits.last
            else:
                continue
            taken.append(transaction)
        return taken

    def _append(self, transaction: Transaction) -> bool:
        commit, commits = transaction.commit, self._fit(transaction.commit)
        if isinstance(commits, Identified):
            disorder = commits.numbers.disordered(commit, self._read_through)
            if disorder is not None:
                self._lose(Blindness(Cause.GAP, None, _DISORDER.format(commit.text())), None)
                self._disorder = disorder if self._disorder is None else self._disorder.union(disorder)
                commits = self._fit(commit)
        if _covers(self._floors[None].position, commit) or commits.has(commit):
            return False  # delivered before, or below the floor, where not knowing it is allowed for
        if _covers(self._read_through, commit) or not commits.follows(commit):
            raise Unsound(
                f"the change stream delivered transaction {transaction.xid} at {commit.text()} although it "
                f"had declared everything through {self._read_through.text() if self._read_through else 'nothing'} "
                "delivered, or out of commit order; judgements since then may be wrong, scan again"
            )
        self._keep(transaction)
        return True

    def _keep(self, transaction: Transaction) -> None:
        keys, floor = transaction.keys(), self._floors[None]
        size = sum(map(len, keys.values())) or 1
        self._entries.append((keys, transaction.blind, size))
        self._commits.append(transaction, floor.position, floor.mark)
        self._changes += size

    def _in_order(self, through: Position | None) -> Position | None:
        """None while numbers tell nothing."""
        if self._disorder is not None and through is not None and passed(self._disorder, through):
            self._disorder = None
        return through if self._disorder is None else None

    def _fit(self, position: Position) -> Commits:
        """The commits, of the kind that such a position belongs to: what the leader is shows at the first."""
        if identifies(position) is not isinstance(self._commits, Identified):
            if self._entries:
                raise Unsound(f"a position of another kind of leader: {position.text()}; scan again")
            self._commits = Identified() if identifies(position) else Numbered()
        return self._commits

    def _place_floors(self) -> None:
        """A follower tells no places in the leader's binlog: such a floor rises to ids, once they are known."""
        for floor in (*self._floors.values(), *self._joined.values()):
            if isinstance(floor.position, Binlog) and _covers(self._read_through, floor.position):
                floor.position = self._read_through

    def _lose(self, blindness: Blindness, read_through: Position | None) -> None:
        """Something at or below `read_through` (None: below the next one) is not known and never will be."""
        why = f"{blindness.cause.value}: {blindness.detail}" if blindness.detail else blindness.cause.value
        self._floors[blindness.table] = _Floor(read_through, None, why)
        if blindness.table is None:
            self._floors = {None: self._floors[None]}
            self._entries, self._lots, self._commits, self._changes = [], Lots(), Numbered(), 0
            self._read_through = read_through

    # what goes

    def _overflow(self) -> None:
        spare, count = self._changes - self._changes_max * 9 // 10, 0
        for _, _, size in self._entries:
            if spare <= 0:
                break
            spare -= size
            count += 1
        if self._lots.bytes > self._bytes_max:
            count = max(count, self._lots.beyond(self._bytes_max * 9 // 10))
        self._drop(count, "gap in the stream: more changes were in flight than the window may hold")

    def _drop(self, count: int, why: str) -> int:
        if count <= 0:
            return 0
        floor = self._floors[None]
        if floor.position is not None:
            floor.why = why
        # One that is still to come will be later than all of these.
        floor.position, floor.mark = self._commits.raised(floor.position, floor.mark, count)
        self._changes -= sum(size for _, _, size in self._entries[:count])
        del self._entries[:count]
        self._lots.drop(count)
        self._commits.drop(count)
        return count

    # the judgement

    def _hindered(self, follower: Look[T]) -> InFlight | None:
        if self._disorder is not None:
            return InFlight(all=True, why=self._floors[None].why)
        if follower.proviso is not None:
            lacking = follower.proviso.lacking()  # asked first: what is refused when nothing lacks is refused for good
            if refused := follower.proviso.refused():
                return InFlight(all=True, why=refused)
            if lacking:
                return InFlight(ready=False, why=lacking)
        return None

    def _refusal(self, table: TableName, view: View, shown: Position | None) -> str:
        whole = self._floors[None]
        for floor in (whole, self._floors.get(table), self._joined.get(table)):
            if floor is None:
                continue
            if floor.position is None or floor.mark is None:
                return f"{floor.why} (not yet over)"
            if not _covers(shown, floor.position):
                return f"{floor.why} (the follower may not show everything through {floor.position.text()} yet)"
            # A table's mark stays, and a view can place an id for half a turn of 32 bits only; the other one rises.
            if (floor is whole or not sooner(floor.mark, whole.mark)) and not view.ended_below(floor.mark):
                return f"{floor.why} (a transaction on the leader is older than that)"
        return ""


def _covers(position: Position | None, other: Position | None) -> bool:
    return position is not None and other is not None and position.covers(other)


__all__ = ["CHANGES_MAX", "InFlight", "Settled", "TransactionWindow"]
