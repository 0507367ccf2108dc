"""From messages that were polled to what makes transactions of them, and to the batch that tells of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import compress, repeat
from operator import and_, not_
from typing import cast

from connectors.debezium.assembly import TransactionAssembler
from connectors.debezium.decoder import Decoder
from connectors.debezium.event import Begin, End, Event, RowEvent, Statement, Unreadable
from connectors.debezium.pending import Partition
from connectors.kafka.dead_letters import dead_letter
from connectors.kafka.port import Record, Run
from verifier.change import DeadLetter
from verifier.table import TableName

_BEGIN = b'{"status":"BEGIN",'


class Feeding:
    """`order` is the partition of the transaction topic. `positions`, where to read on, is brought up to date.
    `carries` is told which topic has rows of which table.

    `events` and `letters` are those since the last `begin`, and so are the newest times: the connector's and the
    broker's, seconds since the epoch."""

    def __init__(
        self,
        decoder: Decoder,
        order: Partition,
        positions: dict[Partition, int],
        carries: Callable[[str, TableName], None] | None = None,
    ) -> None:
        self._decoder = decoder
        self._order = order
        self._positions = positions
        self._carries = carries
        self._begun = True  # whether a transaction may have begun that has not ended
        self.begin()

    def begin(self) -> None:
        self.letters: list[DeadLetter] = []
        self.events = 0
        self.connector_at: float | None = None
        self.broker_at: float | None = None

    def feed(self, assembler: TransactionAssembler, run: Run) -> None:
        """Temporary while something cannot be decoded yet; the position then says where to go on."""
        bulk = self._ends if run.place == self._order else self._rows
        if not bulk(assembler, run):
            self._each(assembler, run)
        self._positions[run.place] = run.offsets[-1] + 1
        if run.at is not None:
            self.broker_at = max(run.at, self.broker_at or 0.0)

    def _ends(self, assembler: TransactionAssembler, run: Run) -> bool:
        """Take the whole run at once where everything before is known and only ENDs tell something; False, and nothing
        is taken, if it is not plain."""
        if assembler.delivered is None or None in run.values:
            self._begun = True
            return False
        messages = cast(Sequence[bytes], run.values)
        begins = list(map(bytes.startswith, messages, repeat(_BEGIN)))
        begun, self._begun = self._begun, begins[-1]
        if self._decoder.source.recounts and (
            begins[-1] or (begun and begins[0]) or any(map(and_, begins, begins[1:]))
        ):
            return False  # the last one has not ended, or one began twice
        told = self._decoder.ends(list(compress(messages, map(not_, begins))))
        if told is None:
            return False
        assembler.ends(self._order, list(compress(run.offsets, map(not_, begins))), told)
        assembler.passed(self._order, run.offsets[-1])
        return True

    def _rows(self, assembler: TransactionAssembler, run: Run) -> bool:
        """Take the whole run at once, tombstones left out; False, and nothing is taken, if it is not plain rows."""
        offsets, keys, messages = run.offsets, run.keys, run.values
        if not all(messages) and None in messages:  # the former is quickly asked, and empty ones are no JSON either
            whole = [index for index, value in enumerate(run.values) if value is not None]
            offsets, keys = [offsets[index] for index in whole], [keys[index] for index in whole]
            messages = [run.values[index] for index in whole]
        told = self._decoder.rows(run.place[0], keys, cast(Sequence[bytes], messages)) if messages else None
        if told is None:
            return False
        if self._carries is not None:
            self._carries(run.place[0], told.table)
        assembler.run(run.place, offsets, told)
        assembler.passed(run.place, run.offsets[-1])
        self.events += len(messages)
        self._handled(told.handled_at)
        return True

    def _each(self, assembler: TransactionAssembler, run: Run) -> None:
        """Take them one by one, in the order in which they lie."""
        place, decode = run.place, self._decoder.decode
        ends_only = place == self._order and assembler.delivered is not None and not self._decoder.source.recounts
        offset = run.offsets[0]
        try:
            for index, (offset, key, value) in enumerate(zip(run.offsets, run.keys, run.values, strict=True)):
                if ends_only and value is not None and value.startswith(_BEGIN):
                    continue
                try:
                    event = decode(place[0], key, value)
                except Unreadable as error:
                    self._bury(assembler, run.record(index), error)
                else:
                    self._take(assembler, place, offset, event)
        except Exception:  # the leader must be asked and is away, or this is a fault of ours: nothing is skipped
            self._positions[place] = offset
            raise
        assembler.passed(place, run.offsets[-1])

    def _bury(self, assembler: TransactionAssembler, record: Record, error: Unreadable) -> None:
        key = self._decoder.key_of(error.table, record.key)
        letter = dead_letter(record, error)
        self.letters.append(letter)
        where = f"{record.topic}:{record.partition} at offset {record.offset}: {letter.text}"
        assembler.unread(record.place, record.offset, error.table, where, key)

    def _take(self, assembler: TransactionAssembler, place: Partition, offset: int, event: Event) -> None:
        if isinstance(event, (Begin, End)):
            assembler.boundary(place, offset, event)
            return
        if isinstance(event, RowEvent):
            self.events += 1
            if self._carries is not None and event.table is not None:
                self._carries(place[0], event.table)
            assembler.row(place, offset, event)
        elif isinstance(event, Statement):
            assembler.statement(place, offset, event)
        else:
            assembler.passed(place, offset)
        self._handled(event.handled_at)

    def _handled(self, at: float | None) -> None:
        if at is not None:
            self.connector_at = max(at, self.connector_at or 0.0)
