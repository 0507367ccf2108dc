"""Whole transactions in commit order, from events that share no order.

Rows of one transaction lie in as many topics and partitions as it touched; its END, in the transaction topic, says
how many there are (but see `heads`). That topic has one partition, and the connector sends transactions in commit
order: a transaction is delivered when its END is at the head and its rows have come.

The connector delivers at least once: after a restart it goes back and sends a stretch of transactions again. Three
rules keep that harmless:

* an END at or below what was delivered is old: its rows are dropped, and its id is remembered for rows still to come;
* rows of transactions delivered recently are dropped by their id;
* what is left over (rows sent again whose END came before we began to read) is recognised by its place: in a partition
  transactions follow each other in commit order, except where the connector went back. So if a row of a *delivered*
  one lies behind a row of X, X was delivered, too, or comes again further on: this copy of X is not needed.

No rule compares the row's own LSN or `source.sequence`: the first is not monotonic, the second is rewritten when
the connector resumes in the middle of a transaction.

A binlog also holds statements by themselves (DDL, a truncate), in topics of their own; each is delivered as a
transaction in its place. Where ENDs leave numbers out, some may stand between: the END behind waits (`unheard`) until
all sent before it was read. `cut()` is where a restart begins: in each partition at the first row not yet delivered.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from connectors.debezium.apart import Apart
from connectors.debezium.beginnings import Beginnings
from connectors.debezium.columns import Stretch
from connectors.debezium.delivery import deliver
from connectors.debezium.event import Begin, End, Ended, RowEvent, Statement
from connectors.debezium.heads import Heads
from connectors.debezium.noted import NOBODY, Noted
from connectors.debezium.pending import Partition, Pending
from connectors.debezium.recent import Recent
from connectors.debezium.run import Run
from connectors.debezium.source import POSTGRES, Source, TransactionId
from connectors.debezium.statements import Statements
from connectors.debezium.unread import UnreadMessages
from connectors.debezium.waiting import WaitingRows, rows_lacking
from verifier.change import Blindness, Cause, Transaction
from verifier.position import Position
from verifier.table import Key, TableName


class TransactionAssembler:
    """Joins rows, BEGINs and ENDs. `delivered` is the position up to which all is delivered; None at the very first
    start, when only transactions whose BEGIN is seen are whole and every other END lies before the start. `keep_max`
    bounds the rows kept of one transaction; beyond it only their number is followed. `held` are the rows that wait."""

    def __init__(self, delivered: Position | None, *, keep_max: int = 100_000, source: Source = POSTGRES) -> None:
        self.delivered = delivered
        self.noted: Noted = NOBODY
        self._source = source
        self._rows = self.held = WaitingRows(keep_max)
        torn = delivered is not None and source.fence is not None  # ids are left out, perhaps for good
        self._unread = UnreadMessages()
        self._ends = self.heads = Heads(source, self._rows, self._unread, torn=torn)
        self._statements = Statements(source)
        self._beginnings = Beginnings(source.present)
        self._apart = Apart(source)
        self._heard, self._untold, self._sure = False, False, True  # what was sent before the head
        self._begun: set[TransactionId] = set()
        self._recent = Recent(source, delivered)
        self._next: dict[Partition, int] = {}
        self._transactions: Partition | None = None
        self._fields: dict[TableName, tuple[str, ...]] = {}
        self._noticed: list[Blindness] = []

    def __len__(self) -> int:
        """How many transactions have ended and wait to be taken."""
        return len(self._ends)

    def begin_at(self, offsets: Mapping[Partition, int], transactions: Partition) -> None:
        """Where reading begins; may be called again for partitions that appear later."""
        self._transactions = transactions
        self._next = {**offsets, **self._next}

    def passed(self, partition: Partition, offset: int) -> None:
        """A message that means nothing to any transaction was read."""
        self._next[partition] = offset + 1

    def row(self, partition: Partition, offset: int, event: RowEvent) -> None:
        if event.xid not in self._recent:
            self._beginnings.row(event)
        self.rows(partition, (offset,), ((event.xid, event.stretch),))

    def rows(
        self, partition: Partition, offsets: Sequence[int], parts: Sequence[tuple[TransactionId, Stretch]]
    ) -> None:
        """Rows that lie in one partition one behind the other, each at its offset, by transaction."""
        start = 0
        for xid, stretch in parts:
            first, last = offsets[start], offsets[start + (count := len(stretch.orders)) - 1]
            start += count
            recent = xid in self._recent
            if self.noted is not NOBODY:
                seen = recent or self._rows.holds(partition, xid)
                self.noted.furthest.came(partition, xid, stretch.orders[-1], seen=seen)
            if recent:
                self._noticed.extend(self._unread.late(partition, xid, stretch))
                self._forget_before(partition, last)
                self.noted.again()
                continue
            if self._rows.add(partition, xid, first, last, stretch) < count:  # some came twice, or are too many to tell
                self.noted.again()
        self.passed(partition, offsets[-1])

    def run(self, partition: Partition, offsets: Sequence[int], run: Run) -> None:
        """The same of a whole run."""
        recent, fresh, whole = self._recent, self._rows.fresh, self._rows.begin(partition, offsets, run)
        start = 0
        for xid, count in run.counts:
            stop = start + count
            if not whole or xid in recent or not fresh(xid, start, stop):
                self.rows(partition, offsets[start:stop], ((xid, run.stretch(start, stop)),))
            elif self.noted is not NOBODY:
                self.noted.furthest.came(partition, xid, run.orders[stop - 1], seen=False)
            start = stop
        self.passed(partition, offsets[-1])

    def unread(
        self, partition: Partition, offset: int, table: TableName | None, reason: str, key: Key | None = None
    ) -> None:
        """A message that nobody understands: its table is blind (or its `key` alone, where that is known), and a
        transaction that lacks a row of that table does not wait for it. In the transaction topic (table None) it blinds
        all tables."""
        self.passed(partition, offset)
        self.noted.again()  # no transaction will tell where it lies
        self._noticed.append(Blindness(Cause.UNREADABLE, table, reason, None if key is None else (key,)))
        if table is not None:
            self._unread.add(table, partition, offset, key)

    def statement(self, partition: Partition, offset: int, event: Statement) -> None:
        """A statement that stands by itself. One that is told too late, or without an id, blinds from here on."""
        delivered = self.delivered
        if event.snapshot and delivered is not None:
            self._noticed.extend(self._beginnings.snapshot(event, partition, offset, delivered))  # or not read
        self.passed(partition, offset)
        self.noted.again()  # a truncate lies among the rows of its table, and no transaction counts it
        if delivered is None or event.snapshot:  # the present will begin behind it
            return
        if event.lasting:
            self._apart.add(one.table for one in event.blind)
        if event.commit is None:
            self._noticed.extend(one for one in event.blind if one not in self._noticed)
        elif not delivered.covers(event.commit):
            self._statements.add(partition, offset, event)
        elif not self._statements.told(event):
            self._noticed.extend(event.blind)

    def boundary(self, partition: Partition, offset: int, event: Begin | End) -> None:
        self._next[partition] = offset + 1
        if isinstance(event, Begin):
            if self.delivered is None and not self._ends:
                self._begun.add(event.xid)
            self._ends.begin(event.xid, offset)
            return
        newest = self._ends[-1].through if self._ends else self.delivered
        known = newest is not None and newest.covers(event.commit)
        if newest is None and ((ask := self._source.present) is not None or event.xid not in self._begun):
            # It began before we did: the present starts behind it. The connector was seen at work before the leader is
            # asked, so whatever the leader has written from then on will come.
            self.delivered = self._recent.floor = self._source.after(None, event.commit) if ask is None else ask()
            self._beginnings.present(self.delivered)
            self._remember(event)
            self._ends.end(event, newest, offset, known=True)
            self.noted.again()
            return
        self._ends.end(event, newest, offset, known=known)
        if not known:
            self._begun.clear()
            self.noted.ended()
        else:
            if self.delivered is not None and self.delivered.covers(event.commit):
                self._noticed.extend(self._recent.denied(event))
                if event.xid not in self._recent:
                    self.noted.furthest.mistaken(event.xid)
                self._remember(event)
            self.noted.again()

    def ends(self, partition: Partition, offsets: Sequence[int], events: Sequence[End]) -> None:
        """ENDs of one partition, each at its offset."""
        newest = self._ends[-1].through if self._ends else self.delivered
        for offset, event in zip(offsets, events, strict=True):
            commit = event.commit
            if self._source.linear and newest is not None and not newest.covers(commit):
                self._ends.append(Ended(event, commit, offset, offset, False))
                self.noted.ended()
                newest = commit
            else:
                self.boundary(partition, offset, event)
                newest = self._ends[-1].through if self._ends else self.delivered
        self._begun.clear()

    def take(self, changes_max: int) -> list[Transaction]:
        """The next whole transactions, about as many as hold `changes_max` changes (at least one if there is one)."""
        taken: list[Transaction] = []
        room = changes_max
        while room > 0:
            if self._statements:
                taken += self._take_statements()
            if self.delivered is not None:
                room = self._take_whole(taken, room)
            if room <= 0 or not self._ends or self.unheard() is not None:
                break
            end = self._ends[0].end
            blind = self._instead_of_rows(end)
            if blind is None:
                break
            taken.append(self._deliver(end, blind))
            room -= max(len(taken[-1].changes), 1)
        return taken

    def _uncounted(self) -> bool:
        """Whether the head's END does not tell how many rows it has."""
        pending = self._rows.get(self._ends[0].end.xid) if self._source.recounts else None
        return self._ends[0].partial or (pending is not None and pending.several_logs)

    def _instead_of_rows(self, end: End) -> tuple[Blindness, ...] | None:
        """What is told with the head, which is `heard` if it must be, in place of rows; None if it waits for them."""
        lacking = self._lacking(end)
        blind = self._unread.instead_of(end, lacking, sure=self._sure) if lacking > 0 else ()
        if blind is None or not self._uncounted():
            return blind
        pending = self._rows.get(end.xid) or Pending()
        return (*blind, *self._unread.beside(end, pending.highest(), sure=self._sure))

    def _take_whole(self, taken: list[Transaction], room: int) -> int:
        """Deliver heads for as long as all that is known of one are rows of one stretch as their table's last ones
        were, as most are: what `_deliver` makes of these, at a fraction of its cost. Returns the room that is left."""
        ends, fields, take_whole, remember = self._ends, self._fields, self._rows.take_whole, self._recent.add
        usual = self._source.linear and self.noted is NOBODY and self._beginnings.quiet and not self._unread
        while usual and ends and room > 0:
            end = ends[0].end
            xid = end.xid
            changes = take_whole(end, fields) if isinstance(xid, int) else None
            if changes is None or not isinstance(xid, int):
                break
            self.delivered, self._heard = ends.popleft().through, False
            taken.append(Transaction(xid, end.commit, end.committed_at, changes))
            room -= len(changes) or 1
            remember(xid, end.commit)
        return room

    def stuck(self) -> End | None:
        """The END at the head whose rows have not all come; None if nothing waits for rows."""
        return self._ends[0].end if self._ends else None

    def unheard(self) -> End | None:
        """The head, if it waits until all that was sent before it has been read (`heard`): a statement may stand before
        it, or what nobody understands may be rows of it."""
        end, unread = self.stuck(), self._unread
        if end is None or self._heard:
            return None
        if self._ends[0].behind or self._uncounted():
            return end
        return end if unread and unread.enough(end, self._lacking(end)) else None

    def heard(self, *, told: bool = True, sure: bool = True) -> None:
        """All that was sent before the head has been read; not `sure`: it is too much to wait for. Not `told`: nobody
        tells of statements, so whatever stands before the head may have changed any table."""
        self._heard, self._untold, self._sure = True, not (told and sure), sure

    def give_up(self, why: str = "") -> Transaction:
        """Deliver the head without the rows it lacks: a gap in every table it touched."""
        end = self._ends[0].end
        detail = f"{self._lacking(end)} of {end.events} events of transaction {end.xid} never arrived{why}"
        tables = [None] if self._ends[0].partial else end.tables
        return self._deliver(end, tuple(Blindness(Cause.GAP, table, detail) for table in tables))

    def noticed(self) -> tuple[Blindness, ...]:
        """What was found since the last call outside any transaction."""
        found, self._noticed = tuple(self._noticed), []
        return found

    def cut(self) -> dict[Partition, int]:
        """Per partition the offset to read from after a restart; empty as long as the present has no position."""
        if self.delivered is None:
            return {}
        cut = dict(self._next)
        if self._transactions is not None and (ends := self._ends.cut) is not None:
            cut[self._transactions] = ends
        for partition, offset in (*self._rows.first(), *self._statements.first(), *self._beginnings.seen_at):
            cut[partition] = min(cut[partition], offset)
        return cut

    def _lacking(self, end: End) -> int:
        return rows_lacking(end, self._rows.get(end.xid))

    def _deliver(self, end: End, blind: tuple[Blindness, ...] = ()) -> Transaction:
        pending = self._rows.get(end.xid) or Pending()
        head = self._ends.popleft()
        if head.behind:
            untold = (Blindness(Cause.DDL, None, "a statement of which the connector does not tell"),)
            blind = (*blind, *self._ended_apart(end), *(untold if self._untold else ()))
        source, sent_before, place = self._source, self.delivered, pending.place
        through = head.through if sent_before is None else source.after(sent_before, head.through)
        self.delivered = source.placed(through, place, sent_before if end.events == 0 else None)
        commit = source.commit(end.commit, place)
        transaction = deliver(source.number(end.xid), commit, end, pending, blind, self._fields)
        self._noticed.extend(self._beginnings.delivered(end.xid, commit, first=sent_before is None))
        self._remember(end)
        for partition, part in pending.parts.items():
            self._forget_before(partition, part.last)
        self._heard = False
        if self.noted is not NOBODY:  # of every transaction, for the few who ask
            self.noted.delivered({place: part.last for place, part in pending.parts.items()}, sent_before)
        return transaction

    def _ended_apart(self, end: End) -> Iterator[Blindness]:
        """What is told with it of rows whose transactions end apart from them, which are let go of."""
        for xid in self._apart.ended(end, self._rows.pending, self._recent):
            self._drop(xid)
            self.noted.again()
        return self._apart.told()

    def _take_statements(self) -> list[Transaction]:
        """Those that stand before the head, or right behind what was delivered if there is none."""
        taken: list[Transaction] = []
        while (found := self._statements.next(self.delivered, self.stuck())) is not None:
            for blindness in found.blind:  # the next row's other columns are no other change
                self._fields.pop(cast(TableName, blindness.table), None)
            if self.delivered is not None and self.delivered.covers(found.commit):
                self._noticed.extend(found.blind)  # what stood behind it was given up first
                continue
            through = self._source.after(self.delivered, found.commit)
            self.delivered = self._source.placed(through, found.place, None)
            number, commit = self._source.number(found.xid), self._source.commit(found.commit, found.place)
            self._noticed.extend(self._beginnings.delivered(None, commit))
            taken.append(Transaction(number, commit, found.committed_at, (), found.blind))
        return taken

    def _remember(self, end: End) -> None:
        self._drop(end.xid)
        self._recent.add(end.xid, end.commit)

    def _drop(self, xid: TransactionId) -> None:
        self._beginnings.forget(xid)
        self._rows.drop(xid)

    def _forget_before(self, partition: Partition, offset: int) -> None:
        """A row of a delivered transaction lies at `offset`: copies wholly before it are not needed (third rule)."""
        if self._rows.drop_before(partition, offset):
            self.noted.again()
        if self._unread:
            self._unread.forget_before(partition, offset)
