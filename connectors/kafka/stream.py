"""The leader's transactions from Debezium's topics.

**The first start** is at the present: the ends of the data partitions are taken first and the end of the transaction
topic afterwards, and only transactions whose BEGIN lies behind that end are delivered. Their rows were sent after
their BEGIN, hence lie behind the data ends taken earlier; should a broker have appended them out of order all the
same, such a transaction lacks rows and ends as a gap after `patience_seconds`, never as silence. An END without its
BEGIN belongs to the past: its commit is where the present starts. Where ids say nothing without those before them
(GTIDs), the leader is asked once the first END was read, and the present starts where it then was.

**A restart** reads from the journaled cut (see `assembly`). A partition that the cut does not name came later and is
read from its beginning. If the broker no longer holds an offset of the cut (retention), a log was cut back or rewritten
when an unclean leader was elected (`steady`), or a topic was made anew, what was lost is unknown: the stream says so (a
GAP for all tables) and goes on at the present. A topic that the broker does not know at all is asked for again before
that, for some seconds. Holes in the offsets mean nothing; rows that a compacted topic has lost are a gap in their
table.

**Dead letters.** A message that cannot be understood is handed out whole in the batch whose offsets lie behind it, so
that whoever journals the offsets keeps it in the same transaction.

**Waiting.** A transaction at the head that lacks rows although the partitions of its tables have been read as far as
they went when it began to wait is given up after `patience_seconds`, with a gap in its tables, so that one lost message
cannot stop the stream for ever. Partitions are paused while what they bring would only pile up (`pressure`), so nothing
waits for the end of all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic

from connectors.debezium.assembly import TransactionAssembler
from connectors.debezium.decoder import Decoder
from connectors.debezium.event import End
from connectors.debezium.naming import topic_of
from connectors.debezium.pending import Partition
from connectors.debezium.source import TransactionId
from connectors.kafka import offsets as journaled
from connectors.kafka.feeding import Feeding
from connectors.kafka.port import Consumer, Run
from connectors.kafka.pressure import Pressure
from connectors.kafka.sent import SentBefore
from connectors.kafka.steady import Steady
from connectors.kafka.topics import Topics
from verifier.change import Batch, Blindness, Cause, Transaction
from verifier.errors import Misconfigured
from verifier.offsets import OffsetIndex
from verifier.position import Position

_RECORDS = 4000
_WAIT_SECONDS = 0.1
_COMPACTED_SECONDS = 2.0
_FENCE_SECONDS = 0.5


@dataclass(slots=True)
class _Stuck:
    """A head that waits for rows, since its partitions were read to their `ends`; as the broker was `asked`, or as the
    last fetches told."""

    xid: TransactionId
    ends: Mapping[Partition, int]
    since: float
    asked: bool = False


class KafkaStream:
    """A `ChangeStream`. One thread. `seconds` is a monotonic clock; `metadata_seconds` how often new topics are looked
    for (at once when a transaction names a table whose topic is not known). `index` is told where transactions lie."""

    def __init__(
        self,
        consumer: Consumer,
        decoder: Decoder,
        prefix: str,
        *,
        keep_max: int = 100_000,
        patience_seconds: float = 120.0,
        metadata_seconds: float = 5.0,
        seconds: Callable[[], float] = monotonic,
        index: OffsetIndex | None = None,
    ) -> None:
        self._consumer = consumer = Steady(consumer)
        self._decoder = decoder
        self._prefix = prefix
        self._transactions: Partition = (f"{prefix}.transaction", 0)
        self._keep_max = keep_max
        self._patience_seconds = patience_seconds
        self._metadata_seconds = metadata_seconds
        self._seconds = seconds
        self._index = index
        self._assembler = self._assembled(None)
        self._sent = SentBefore(self._ends, seconds)
        self._positions: dict[Partition, int] = {}
        self._topics = Topics(consumer, prefix, self._transactions, seconds)
        self._pressure = Pressure(consumer, prefix, self._transactions, rows_max=keep_max)
        self._looked_at = 0.0
        self._fenced_at = -_FENCE_SECONDS
        self._stuck: _Stuck | None = None
        self._given_up: list[Transaction] = []
        self._blind: list[Blindness] = []
        carries = None if index is None else index.carries
        self._feeding = Feeding(decoder, self._transactions, self._positions, carries)

    def start(self, offsets: Mapping[str, int], read_through: Position | None) -> Position | None:
        """See `ChangeStream`. Misconfigured if the transaction topic cannot carry an order."""
        if read_through is not None and not self._decoder.source.owns(read_through):
            raise Misconfigured(
                f"the journal's position {read_through.text()} is of another kind than the connector's: another leader?"
            )
        known = journaled.read(offsets)
        self._consumer.assign({})  # what was read before is read anew, and without it a refusal is heard at once
        self._given_up, self._blind, self._feeding.letters = [], [], []  # what the journal does not hold is read again
        if self._transactions not in known or read_through is None:
            self._to_the_present()
            return None
        found = self._topics.find()
        bounds = self._topics.bounds(found | known.keys(), known.keys())
        self._topics.begin(journaled.made(offsets))
        self._consumer.begin(journaled.marks(offsets))
        anew = self._topics.made_anew()
        outside = [place for place, at in known.items() if not _within(bounds.get(place), at) or place[0] in anew]
        if outside:
            self._lose(outside)
            return None
        self._assembler = self._assembled(read_through)
        self._read_from({place: known.get(place, bounds[place][0]) for place in found | known.keys()})
        return read_through

    def poll(self, *, changes_max: int, seconds_max: float) -> Batch:
        until = self._seconds() + seconds_max
        while True:
            taken = [*self._given_up, *self._assembler.take(changes_max)]
            self._given_up.clear()
            self._blind.extend(self._assembler.noticed())
            left = until - self._seconds()
            if taken or self._blind or left <= 0:
                return self._batch(tuple(taken))
            self._look_for_topics()
            self._read(min(left, _WAIT_SECONDS))
            self._mind_what_was_sent()
            self._mind_the_head()

    def acknowledge(self, offsets: Mapping[str, int]) -> None:
        self._consumer.commit(journaled.read(offsets))

    def close(self) -> None:
        self._consumer.close()

    def backlog(self) -> int:
        """Messages on the broker that have not been read yet, as far as the last fetches tell."""
        behind = 0
        for place, position in self._positions.items():
            high = self._consumer.high(place)
            behind += max(high - position, 0) if high is not None else 0
        return behind

    def lacking(self) -> str:
        """Why nothing can come, if the topics are not there; '' if they are."""
        if not self._positions or self._transactions in self._positions:
            return "" if self._positions else f"kafka has no topics of prefix {self._prefix}: is that the connector's"
        return f"kafka has no topic {self._transactions[0]}: set provide.transaction.metadata=true on the connector"

    def _batch(self, taken: tuple[Transaction, ...]) -> Batch:
        cut = self._assembler.cut()
        if self._index is not None:
            self._index.read(cut, self._assembler.delivered)
        batch = Batch(
            taken,
            self._assembler.delivered,
            journaled.written(cut, self._topics.numbers, self._consumer.marks),
            tuple(self._blind),
            self._feeding.events,
            self._feeding.connector_at,
            self._feeding.broker_at,
            tuple(self._feeding.letters),
        )
        self._blind = []
        self._feeding.begin()
        return batch

    def _assembled(self, delivered: Position | None) -> TransactionAssembler:
        made = TransactionAssembler(delivered, keep_max=self._keep_max, source=self._decoder.source)
        if self._index is not None:
            made.noted = self._index
            self._index.begin()
        return made

    def _to_the_present(self) -> None:
        found = self._topics.find()
        data = self._consumer.bounds(found - {self._transactions})
        order = self._consumer.bounds(found & {self._transactions})  # after the data: see the module's docstring
        self._topics.begin_anew(found)  # the last question: a broker that is away now finds all as it was
        self._assembler = self._assembled(None)
        self._positions.clear()
        self._consumer.begin({})
        self._read_from({place: high for place, (_, high) in {**data, **order}.items()})

    def _lose(self, places: list[Partition]) -> None:
        named = ", ".join(f"{topic}:{number}" for topic, number in sorted(places))
        self._blind.append(Blindness(Cause.GAP, None, f"kafka no longer holds our offsets of {named}"))
        self._to_the_present()

    def _read_from(self, positions: Mapping[Partition, int]) -> None:
        self._topics.learn(positions)  # asks, so before anything else
        self._positions.update(positions)
        self._assembler.begin_at(self._positions, self._transactions)
        self._pressure.assigned()
        self._consumer.assign(self._positions)
        self._looked_at = self._seconds()
        self._stuck = None
        self._sent.begin()

    def _look_for_topics(self, *, now: bool = False) -> None:
        head = self._assembler.stuck()
        topics = {place[0] for place in self._positions}
        missing = self._transactions[0] not in topics
        if head is not None:
            missing = missing or any(topic_of(self._prefix, name) not in topics for name, _ in head.by_table)
        if not now and self._seconds() - self._looked_at < (0.2 if missing else self._metadata_seconds):
            return
        self._looked_at = self._seconds()
        anew = self._topics.made_anew()
        if anew:
            self._lose([place for place in self._positions if place[0] in anew])
            return
        new = self._topics.find() - self._positions.keys()
        if new:
            self._read_from({place: low for place, (low, _) in self._consumer.bounds(new).items()})

    def _read(self, seconds_max: float) -> None:
        self._look_back()
        self._pressure.ease(self._assembler, self._positions)
        polled = self._consumer.poll(_RECORDS, max(seconds_max, 0.0))
        for index, run in enumerate(polled.runs):
            try:
                self._feeding.feed(self._assembler, run)
            except Exception:  # the registry of the schemas is away, or refuses us, or it is a fault of ours
                self._again(polled.runs[index:])
                raise
        for place, offset in polled.ends.items():
            if offset > self._positions.get(place, offset):
                self._positions[place] = offset
                self._assembler.passed(place, offset - 1)
        lost = [place for place in polled.lost if place in self._positions]
        if lost:
            self._read_from({})  # those too that the broker may know again in a moment
            self._topics.bounds(lost, lost)
            self._lose(lost)

    def _look_back(self) -> None:
        """Read ENDs once more where too many rows wait, and perhaps for one of these (`pressure`)."""
        order, now = self._transactions, self._seconds()
        if not self._pressure.lasts(self._assembler, now) or self._assembler.delivered is None:
            return
        low = self._consumer.bounds({order}).get(order, (0, 0))[0]
        back, cut = self._pressure.back(self._positions[order], now), self._assembler.cut()[order]
        if low <= cut:  # else something was lost that waits
            stuck = self._stuck
            self._read_from({order: max(min(back, cut), low)})
            self._stuck = stuck

    def _again(self, runs: Sequence[Run]) -> None:
        """Have these read again, the first from where it was fed to."""
        fed, *others = runs
        begin = {run.place: run.offsets[0] for run in reversed(others)}
        self._read_from({**begin, fed.place: self._positions[fed.place]})

    def _mind_what_was_sent(self) -> None:
        """An END before which a statement may stand, or whose rows nobody may have understood, waits until all that the
        connector sent before it has been read (`sent`). It does not wait where more waits than may be kept: then nobody
        knows. Of ids that are left out the leader tells which are so for good."""
        fence = self._decoder.source.fence
        if fence is not None and self._assembler.heads.torn and self._seconds() - self._fenced_at >= _FENCE_SECONDS:
            self._fenced_at = self._seconds()
            self._assembler.heads.fenced(*fence())
        lacking = self._assembler.heads.lacking()
        self._sent.order(self._positions.get(self._transactions, 0) if lacking is None else lacking + 1)
        head = self._assembler.unheard()
        if head is None:
            return
        crowded = self._pressure.crowded(self._assembler)  # then others stand still, too
        ends = None if crowded else self._sent.ends(self._assembler.heads[0].at)
        if crowded or (ends is not None and self._reached(ends)):
            told = any(topic == self._prefix for topic, _ in self._positions)
            if self._assembler.unheard() is head:  # none where what was read is no longer there
                self._assembler.heard(told=told, sure=not crowded)

    def _ends(self) -> Mapping[Partition, int]:
        """Of all but the order, which stands still while too many ENDs wait."""
        self._look_for_topics(now=True)
        found = self._consumer.bounds(self._positions.keys() - {self._transactions})
        return {place: high for place, (_, high) in found.items()}

    def _reached(self, ends: Mapping[Partition, int], but: Collection[Partition] = ()) -> bool:
        return all(self._positions.get(place, end) >= end for place, end in ends.items() if place not in but)

    def _mind_the_head(self) -> None:
        """Give the head up when its rows have not come for too long although all that was there has been read, where
        they may lie: elsewhere there may be no end to it, and it may stand still (`pressure`)."""
        head = self._assembler.stuck()
        if head is None or self._assembler.unheard() is not None:
            self._stuck = None
        elif self._stuck is None or self._stuck.xid != head.xid:
            ends = {place: self._consumer.high(place) for place in self._places_of(head)}
            known = {place: end for place, end in ends.items() if end is not None}
            self._stuck = _Stuck(head.xid, known, self._seconds())
        elif not self._reached(self._stuck.ends, but=self._pressure.paused):  # it does not lie behind so many
            self._stuck.since = self._seconds()
        elif (waited := self._seconds() - self._stuck.since) >= _COMPACTED_SECONDS:
            if not self._stuck.asked:  # of what was sent since the last fetch nobody has told yet
                found = self._consumer.bounds(self._places_of(head))
                self._stuck.ends, self._stuck.asked = {place: high for place, (_, high) in found.items()}, True
                return
            losing = self._topics.losing(head)  # there they may be gone for good
            if losing or waited >= self._patience_seconds:
                self._given_up.append(self._assembler.give_up("".join(f"; {topic} is compacted" for topic in losing)))
                self._stuck = None

    def _places_of(self, head: End) -> list[Partition]:
        """The partitions that may have its rows."""
        topics = {topic_of(self._prefix, name) for name, _ in head.by_table}
        places = [place for place in self._positions if place[0] in topics] or list(self._positions)
        return [place for place in places if place != self._transactions]


def _within(bounds: tuple[int, int] | None, offset: int) -> bool:
    return bounds is not None and bounds[0] <= offset <= bounds[1]
