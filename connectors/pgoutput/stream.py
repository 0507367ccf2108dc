"""The change stream of a PostgreSQL leader, read by logical replication from a slot, without Kafka.

The barrier (`Batch.read_through`) comes from commits and from keepalives. A walsender writes a transaction into the
connection while it decodes the commit record, and only then moves the position that its keepalives carry, so what
arrives behind a keepalive committed behind its position. It answers a status update that asks for a reply at once;
asking while nothing comes keeps the barrier of an idle leader within a fraction of a second of its log's end.

The slot is told only what the journal holds. After a lost connection the stream goes on behind what it delivered.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from typing import Final

from connectors.pgoutput.assemble import Assembler
from connectors.pgoutput.decode import Unreadable, frame, message, status_update
from connectors.pgoutput.messages import Commit, Data, Keepalive, Origin
from connectors.pgoutput.shape import KeyOf
from connectors.pgoutput.slot import Found, Wanted, explained, origins, prepare, retained
from connectors.pgoutput.wire import Wire, conninfo
from verifier.change import Batch, Blindness, Cause, Transaction
from verifier.errors import Misconfigured, Temporary, TrueupError
from verifier.half import VALUES_BYTES
from verifier.position import Lsn, Position
from verifier.table import TableName

# Seconds: how often a silent leader is asked, how often a busy one is told, how soon a moved barrier is worth a
# batch of its own, and after how long without a word the connection counts as lost (as the server's own default).
_ASK_SECONDS: Final = 0.05
_TELL_SECONDS: Final = 1.0
_BARRIER_SECONDS: Final = 0.05
_SILENCE_SECONDS: Final = 60.0
# A leader that shuts down waits until all it sent is confirmed, asking again after each answer.
_URGES_MAX: Final = 3

# A log page starts with a header, a segment's first page with a longer one. Where a record ends with its page, the
# reader says "the page's end" and the writer "behind the next header"; nothing can lie between the two.
_PAGE_HEADER: Final = 24
_SEGMENT_HEADER: Final = 40


class PgoutputStream:
    """A `ChangeStream` over one slot; for one thread. Nothing is connected before `start`.

    `key_of` names the key columns of a table in key order; where it answers None, the replica identity's columns in
    table order are the key. Offsets are `lsn`, and the `system` and `timeline` of the cluster that it belongs to.
    """

    def __init__(
        self,
        url: str,
        *,
        slot: str,
        publication: str,
        key_of: KeyOf,
        tables: Collection[TableName] = (),
        create: bool = False,
        temporary: bool = False,
        name: str = "leader",
        transaction_changes_max: int = 100_000,
        beside: Collection[str] | None = None,
    ) -> None:
        """`beside`: the server is a subscriber, and only what did not come by these subscriptions (empty: by any) is
        told."""
        if not slot or not slot.replace("_", "a").isalnum() or slot != slot.lower() or not slot.isascii():
            raise Misconfigured(f"slot name {slot!r} must be lower case letters, digits and underscores")
        self._name = name
        self._info = conninfo(url, application=f"trueup {slot}", replication=True)
        self._plain = conninfo(url, application=f"trueup {slot} watch", replication=False)
        self._wanted = Wanted(slot, publication, frozenset(tables), create, temporary)
        self._assembler = Assembler(key_of, changes_max=transaction_changes_max)
        self._beside = beside
        self._overheard: Callable[[Transaction], None] | None = None
        self._origin_lsn = 0
        self._applied: frozenset[str] = frozenset()
        self._wire: Wire | None = None
        self._found: Found | None = None
        self._cluster: tuple[int, int] | None = None
        self._through: int | None = None  # everything at or below was delivered, or lies in _ready
        self._server_end = 0  # as the walsender said it: safely on the leader's disk
        self._acknowledged = 0
        self._ready: list[Transaction] = []
        self._blind: list[Blindness] = []
        self._events_told = 0
        self._sent_at: float | None = None
        self._told = self._asked = self._heard = 0.0
        self._urges = 0

    def overhear(self, told: Callable[[Transaction], None]) -> None:
        """Before `start`, of a stream `beside` subscriptions: have every transaction told to `told`, also what came by
        them. Its `origin` is then the leader's commit that it came with, as text; None: it came by none of them."""
        self._overheard = told

    @property
    def published(self) -> frozenset[TableName]:
        """The tables whose changes this stream tells, as of the last connect: of any other it knows nothing."""
        return self._found.published if self._found else frozenset()

    @property
    def silent_seconds(self) -> float | None:
        """For how long the leader has said nothing on this connection; None while there is no connection."""
        return time.monotonic() - self._heard if self._wire else None

    def start(self, offsets: Mapping[str, int], read_through: Position | None) -> Position | None:
        """Begin behind `offsets["lsn"]`, or at the present. Permanent if the slot or publication is missing and may
        not be made; the message names the SQL."""
        self._drop()
        self._ready.clear()
        self._blind.clear()
        self._through = offsets.get("lsn")
        self._acknowledged = self._through or 0
        if "system" in offsets and "timeline" in offsets:
            self._cluster = (offsets["system"], offsets["timeline"])
        self._attach()
        return None if self._through is None else Lsn(self._through)

    def poll(self, *, changes_max: int, seconds_max: float) -> Batch:
        if self._through is None:
            raise Misconfigured("the stream was not started")
        began = time.monotonic()
        try:
            if self._wire is None:
                self._attach()
            self._read(began, began + seconds_max, changes_max)
        except TrueupError as error:
            # What was complete before the error is good and goes first; the error comes again if it lasts.
            self._drop()
            if not self._ready:
                raise explained(error, self._wanted) from error.__cause__
        return self._batch()

    def acknowledge(self, offsets: Mapping[str, int]) -> None:
        self._acknowledged = max(self._acknowledged, offsets.get("lsn", 0))
        if self._wire is not None:
            try:
                self._tell(self._wire, reply=False)
            except Temporary:
                # The connection is lost, not the acknowledgement: the next poll connects again and repeats it.
                self._drop()

    def retained_bytes(self) -> int | None:
        """Bytes of log that the leader keeps for the slot, asked afresh; None if there is no slot."""
        wire = Wire(self._plain, name=self._name)
        try:
            return retained(wire, self._wanted.slot)
        finally:
            wire.close()

    def close(self) -> None:
        self._drop()

    def _attach(self) -> None:
        """Connect and stream from behind `_through`; what was lost meanwhile goes into `_blind`."""
        wire = Wire(self._info, name=self._name)
        try:
            found = prepare(wire, self._wanted)
            begin, lost = _resume(found, self._through, self._cluster)
            wire.stream(
                f'START_REPLICATION SLOT "{self._wanted.slot}" LOGICAL {Lsn(begin)} '
                f"(proto_version '1', publication_names {_name_list(self._wanted.publication)}{self._aside(wire)})"
            )
        except BaseException:
            wire.close()
            raise
        self._assembler.reset()
        self._assembler.expect(found.signatures)
        self._blind.extend(lost)
        if lost:
            self._acknowledged = min(self._acknowledged, begin)
        self._wire, self._found, self._cluster = wire, found, (found.system, found.timeline)
        self._through, self._server_end = begin, 0
        self._told = self._asked = 0.0
        self._urges = 0
        self._heard = time.monotonic()

    def _aside(self, wire: Wire) -> str:
        """Options of a stream that tells only what a subscriber did not apply. The server itself can leave out all
        that has an origin (16); messages mark our own repairs (14)."""
        if self._beside is None:
            return ""
        self._applied, all_of_them = origins(wire, self._beside)
        options = ", messages 'true'" if wire.version >= 140000 else ""
        return options + (
            ", origin 'none'" if wire.version >= 160000 and all_of_them and self._overheard is None else ""
        )

    def _drop(self) -> None:
        if self._wire is not None:
            self._wire.close()
            self._wire = None

    def _read(self, began: float, deadline: float, changes_max: int) -> None:
        """Read until something is worth a batch: a transaction, a blindness, a moved barrier, or the deadline."""
        wire = self._wire
        assert wire is not None
        start = self._through
        while True:
            more = self._drain(wire, deadline, changes_max)
            now = time.monotonic()
            moved = self._through != start and now - began >= _BARRIER_SECONDS
            if self._ready or self._blind or moved or now >= deadline:
                return
            if more:
                continue
            if now - self._heard > _SILENCE_SECONDS:
                raise Temporary(f"{self._name} has said nothing on the stream for {_SILENCE_SECONDS:.0f} s")
            if now - self._asked >= _ASK_SECONDS:
                self._tell(wire, reply=True)
                self._asked = now
            wire.wait(min(deadline - now, _ASK_SECONDS))

    def _drain(self, wire: Wire, deadline: float, changes_max: int) -> bool:
        """Take in what has arrived, as far as one batch may go; True if there was anything."""
        assembler = self._assembler
        enough, full = self._events_told + changes_max, assembler.bytes + VALUES_BYTES
        anything = False
        for turn in range(1 << 62):
            raw = wire.receive()
            if raw is None:
                if not wire.wait(0.0):
                    break
                raw = wire.receive()
                if raw is None:
                    break
            anything = True
            self._take(wire, raw)
            if self._ready and (assembler.events >= enough or assembler.bytes >= full):
                break
            if turn % 256 == 255:
                now = self._heard = time.monotonic()
                if now >= deadline:
                    break
                if now - self._told >= _TELL_SECONDS:
                    self._tell(wire, reply=False)
        if anything:
            self._heard = time.monotonic()
        return anything

    def _take(self, wire: Wire, raw: bytes) -> None:
        got = frame(raw)
        if isinstance(got, Data):
            try:
                said = message(got.payload)
            except Unreadable as error:
                self._assembler.unreadable(error.relation, str(error))
                return
            if isinstance(said, Origin):
                self._origin_lsn = said.lsn
            transaction = self._assembler.feed(said, len(raw))
            if isinstance(said, Commit):
                self._committed(said, transaction, got.sent_at)
            return
        self._keepalive(wire, got)

    def _committed(self, commit: Commit, transaction: Transaction | None, sent_at: float) -> None:
        assert self._through is not None
        if commit.end_lsn <= self._through:
            return
        self._through = self._behind_header(commit.end_lsn)
        self._server_end = max(self._server_end, commit.end_lsn)
        if transaction is not None and self._overheard is not None:
            applied = transaction.origin in self._applied
            origin = Lsn(self._origin_lsn).text() if applied else transaction.origin
            self._overheard(transaction._replace(origin=origin))
        if transaction is not None and transaction.origin not in self._applied:
            self._ready.append(transaction)
            self._sent_at = sent_at

    def _keepalive(self, wire: Wire, keepalive: Keepalive) -> None:
        assert self._through is not None
        self._server_end = max(self._server_end, keepalive.wal_end)
        if not self._assembler.open:
            self._through = max(self._through, self._behind_header(keepalive.wal_end))
        if keepalive.reply_requested:
            self._urges = self._urges + 1 if time.monotonic() - self._told < _TELL_SECONDS else 0
            if self._urges > _URGES_MAX and self._acknowledged < keepalive.wal_end:
                # We may not confirm what the journal does not hold, and must not keep the leader from stopping.
                raise Temporary(f"{self._name} shuts down: let go of the stream so that it can")
            self._tell(wire, reply=False)

    def _behind_header(self, lsn: int) -> int:
        assert self._found is not None
        if lsn % self._found.block_bytes:
            return lsn
        return lsn + (_PAGE_HEADER if lsn % self._found.segment_bytes else _SEGMENT_HEADER)

    def _tell(self, wire: Wire, *, reply: bool) -> None:
        """A status update. Nothing is confirmed that the leader has not called safe on its own disk: a slot that
        stands beyond would pass over what a crashed leader writes there anew."""
        flushed = min(self._acknowledged, self._server_end)
        written = max(self._server_end, flushed)
        wire.send(status_update(written=written, flushed=flushed, now=time.time(), reply=reply))
        self._told = time.monotonic()

    def _batch(self) -> Batch:
        assert self._through is not None
        system, timeline = self._cluster or (0, 0)
        events = self._assembler.events - self._events_told
        batch = Batch(
            tuple(self._ready),
            Lsn(self._through),
            {"lsn": self._through, "system": system, "timeline": timeline},
            tuple(self._blind),
            events=events,
            connector_at=self._sent_at,
        )
        self._events_told += events
        self._sent_at = None
        self._ready.clear()
        self._blind.clear()
        return batch


def _resume(found: Found, through: int | None, cluster: tuple[int, int] | None) -> tuple[int, list[Blindness]]:
    """Where to begin, and what was lost before. The log's end is a record's end, so no commit straddles it."""
    if through is None:
        return max(found.written, found.confirmed), []
    why = ""
    if cluster is not None and cluster != (found.system, found.timeline):
        why = f"the leader is cluster {found.system}, timeline {found.timeline}; it was {cluster[0]}, {cluster[1]}"
    elif found.made:
        why = "the replication slot was gone and was made anew"
    elif found.confirmed > through:
        why = f"the replication slot stands at {Lsn(found.confirmed)}, read was only {Lsn(through)}"
    elif found.written < through:
        why = f"the leader's log ends at {Lsn(found.written)}, before {Lsn(through)} that was read already"
    if why:
        return found.confirmed, [Blindness(Cause.GAP, None, why)]
    return through, [Blindness(Cause.GAP, table, "published only now") for table in sorted(found.added)]


def _name_list(publication: str) -> str:
    """The publication as the plugin's list of identifiers, inside a literal of the replication grammar."""
    identifier = '"' + publication.replace('"', '""') + '"'
    return "'" + identifier.replace("'", "''") + "'"
