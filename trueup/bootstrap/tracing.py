"""One row looked at without a daemon: its changes in the log, both sides' rows, and where they part.

Changes come from the stream's log where it can be read back (Kafka, a binlog), else from what the daemon kept when it
looked into the row's drift. Each follower is judged by the bracketed rule, which needs no stream.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from config.settings import Group, Settings
from connectors.journal.opening import Journal, open_journal
from reconciler.masking import NOTHING_MASKED, Masking
from trueup.bootstrap.causing import appliers
from trueup.bootstrap.fed import fed_names
from trueup.bootstrap.histories import Reach, open_history
from trueup.bootstrap.journal import existing
from trueup.bootstrap.masking import masking_of
from trueup.bootstrap.servers import patterns_of
from trueup.bootstrap.watching import Watched, open_watched
from trueup.clock import SystemClock
from trueup.services.cause import Applier, known_of
from trueup.services.group import TableBook
from verifier.bracketing import BracketJudging
from verifier.cause import Explanation
from verifier.checklist import several
from verifier.compare import Comparison
from verifier.drift import DriftCause, Kind
from verifier.errors import Misconfigured, Permanent, Temporary
from verifier.identity import drift_id
from verifier.journal import OpenDrift
from verifier.outcome import Again, Differs, Equal, Moving, Outcome
from verifier.ports import Replica
from verifier.position import Position
from verifier.table import Family, Key, KeyValue, Table, TableName, Value
from verifier.trace import Recalled, Rows, applied, changed_columns, explained, hidden, hidden_row
from verifier.written import Dated

Json: TypeAlias = dict[str, Any]

VERSION = 1
_PATIENCE_SECONDS = 10.0
_LATE = "the follower has not applied every change yet"


@dataclass(slots=True)
class Tracing:
    """Open servers of one group. `history` reads a key's changes back; `source` says from where."""

    group: str
    servers: Watched
    book: TableBook
    journal: Journal | None
    source: str
    history: Callable[[TableName, Key], Recalled]
    close_history: Callable[[], None]
    masking: Masking = NOTHING_MASKED
    fed: Collection[str] = ()
    """Followers that a sink feeds."""

    @classmethod
    def open(cls, settings: Settings, group: Group, reach: Reach) -> Tracing:
        """Unreachable or Forbidden if the leader cannot be asked."""
        servers = open_watched(group)
        try:
            book = TableBook(
                servers.leader,
                servers.followers,
                patterns_of(group),
                SystemClock(),
                {name: tuple(columns) for name, columns in group.tables.exclude_columns.items()},
                {name: tuple(columns) for name, columns in group.tables.keys.items()},
                tolerances=group.tables.tolerated(),
            )
            book.names()
            history = open_history(group, book, reach)
        except BaseException:
            servers.close()
            raise
        journal = _journal(settings, group)
        book.masking = masking_of(group.tables.mask_columns, journal)
        return cls(
            group.name,
            servers,
            book,
            journal,
            history.source,
            history.changes,
            history.close,
            book.masking,
            fed=fed_names(group),
        )

    def close(self) -> None:
        self.close_history()
        if self.journal is not None:
            self.journal.close()
        self.servers.close()

    def trace(self, table: TableName, words: list[str]) -> Json:
        """The result as data (`trueup/schemas/trace.json`). Misconfigured if the words are not a key of the table."""
        described = self.book.table(table)
        key = key_of(described, words)
        known = {name: self._known(name, table, key) for name in self.servers.followers}
        recalled = self._recall(table, key, known)
        followers = [self._follower(name, table, key, recalled, known[name]) for name in self.servers.followers]
        ours = self.servers.leader.rows(described, [key]).value.get(key)
        return {
            "version": VERSION,
            "group": self.group,
            "table": str(table),
            "key": self.masking.key(table, dict(zip(described.key, key, strict=True))),
            "history": {
                "source": self.source,
                "since": None if recalled.since is None else recalled.since.text(),
                "note": recalled.note,
            },
            "changes": self._changes(described, recalled),
            "leader": {"server": self.servers.leader.name, "row": self._masked(table, ours.values if ours else None)},
            "followers": followers,
        }

    def _known(self, follower: str, table: TableName, key: Key) -> OpenDrift | None:
        """The row's drift as the journal has it."""
        if self.journal is None:
            return None
        return self.journal.drifts.find(drift_id(self.group, follower, table, key))

    def _recall(self, table: TableName, key: Key, known: Mapping[str, OpenDrift | None]) -> Recalled:
        """From the log; where that cannot be read back, what was noted with the latest drift of the row."""
        recalled = self.history(table, key)
        if recalled.changes or self.journal is None:
            return recalled
        noted = sorted((one for one in known.values() if one is not None), key=lambda one: one.last_seen_at)
        for one in reversed(noted):
            kept = self.journal.drifts.history(one.drift.id)
            if kept is not None and kept.changes:
                self.source = "journal"
                note = "as the daemon kept them when it found the row to differ"
                return hidden(Recalled(kept.changes, kept.since, note), self.book.masking.hide(table))
        return recalled

    def _follower(self, name: str, table: TableName, key: Key, recalled: Recalled, known: OpenDrift | None) -> Json:
        pair = self.book.pair(name, table)
        told: Json = {"follower": name, "state": "unverified", "why": pair.problem or "", "applied": None, "row": None,
                      "holds": None, "columns": {}, "cause": None, "step": None, "since": None, "possible": [],
                      "known": _noted(known)}  # fmt: skip
        if pair.compared is None:
            return told
        replica = self.servers.followers[name]
        try:
            if name in self.fed:
                row = replica.rows(pair.compared.follower, [key]).value.get(key)
                why = "a sink feeds it: only the daemon can tell how far it is (trueup drift)"
                return {**told, "row": self._masked(table, row.values if row else None), "why": why}
            position = _position(replica)
            outcome = self._judge(replica, pair.compared, key)
            row = replica.rows(pair.compared.follower, [key]).value.get(key)
        except (Temporary, Permanent) as problem:
            return {**told, "why": str(problem)}
        told |= {
            "applied": None if position is None else position.text(),
            "row": self._masked(table, row.values if row else None),
        }
        if isinstance(outcome, Moving):
            return {**told, "why": outcome.why}
        if isinstance(outcome, Equal):
            return {**told, "state": "equal", "holds": len(recalled.changes) if recalled.changes else None}
        theirs = {column: both.follower for column, both in outcome.columns.items()}
        ours = {column: both.leader for column, both in outcome.columns.items()}
        both = Rows(
            None if outcome.kind is Kind.EXTRA else {**(row.values if row else {}), **ours},
            None if outcome.kind is Kind.MISSING else {**(row.values if row else {}), **theirs},
        )
        if self.source == "journal" and (hide := self.book.masking.hide(table)) is not None:
            both = Rows(hidden_row(both.leader, hide), hidden_row(both.follower, hide))  # as the changes were kept
        told |= {"state": outcome.kind.value, "columns": self._columns(table, outcome)}
        return {**told, **self._cause(name, pair.compared, recalled, both, position, known)}

    def _cause(
        self,
        name: str,
        compared: Comparison,
        recalled: Recalled,
        both: Rows,
        position: Position | None,
        known: OpenDrift | None,
    ) -> Json:
        """What the daemon found, which knew more; else what the row's changes tell."""
        shown = recalled if position is None else applied(recalled, position)
        applier = appliers({name: self.servers.followers[name]}).get(name, Applier())
        if shown.changes:
            found = explained(compared.leader, shown, both, known_of(shown, None, Dated(), None, applier.ways))
        else:
            found = Explanation(DriftCause.UNKNOWN)
        cause, step, why = found.cause.value, found.step, found.why()
        since = None if step is None else shown.changes[step - 1].commit.text()
        noted = known.drift.cause if known is not None and known.cleared_at is None else None
        if known is not None and noted not in (None, DriftCause.UNKNOWN):
            assert noted is not None
            cause, since, why = noted.value, known.drift.since, "as the daemon found"
            commits = [one.commit.text() for one in shown.changes]
            step = commits.index(since) + 1 if since in commits else None
        possible = sorted(one.value for one in found.possible) if cause == "unknown" else []
        return {"holds": found.holds if shown.changes else None, "cause": cause, "step": step, "since": since,
                "possible": possible, "why": why}  # fmt: skip

    def _judge(self, replica: Replica, compared: Comparison, key: Key) -> Outcome:
        clock = SystemClock()
        judging = BracketJudging(self.servers.leader, replica, compared, [key], give_up_seconds=_PATIENCE_SECONDS)
        until = clock.now() + _PATIENCE_SECONDS
        while True:
            answer = judging.advance(clock.now())
            if not isinstance(answer, Again):
                return answer[key]
            if clock.now() > until:
                return Moving(_LATE)
            clock.sleep(max(0.0, answer.at - clock.now()))

    def _changes(self, table: Table, recalled: Recalled) -> list[Json]:
        from trueup.audit.report import iso

        columns = changed_columns(recalled.changes, table)
        return [
            {
                "step": number,
                "transaction": one.transaction,
                "committed_at": None if one.committed_at is None else iso(one.committed_at),
                "position": one.commit.text(),
                "operation": one.operation.value,
                "columns": None if changed is None else list(changed),
                "row": self._masked(table.name, one.after),
                "place": one.place or None,
            }
            for number, (one, changed) in enumerate(zip(recalled.changes, columns, strict=True), 1)
        ]

    def _columns(self, table: TableName, outcome: Differs) -> Json:
        hidden = self.masking.of(table)
        return {
            name: {
                "leader": self.masking.value(both.leader) if name in hidden else both.leader,
                "follower": self.masking.value(both.follower) if name in hidden else both.follower,
            }
            for name, both in outcome.columns.items()
        }

    def _masked(self, table: TableName, row: Mapping[str, Value] | None) -> Json | None:
        return None if row is None else self.masking.row(table, row)


def key_of(table: Table, words: list[str]) -> Key:
    """The key that the words spell, one for each of its columns. Misconfigured if they do not."""
    if not table.key:
        raise Misconfigured(f"{table.name} has no key, so no row of it can be named (name a key in tables.keys)")
    if len(words) != len(table.key):
        wanted = several(len(table.key), "value")
        raise Misconfigured(f"the key of {table.name} is ({', '.join(table.key)}): give {wanted}, not {len(words)}")
    return tuple(_value(table, name, word) for name, word in zip(table.key, words, strict=True))


def _value(table: Table, name: str, word: str) -> KeyValue:
    if table.column(name).family is not Family.INTEGER:
        return word
    try:
        return int(word)
    except ValueError:
        raise Misconfigured(f"{name} of {table.name} is a whole number, and {word!r} is none") from None


def _journal(settings: Settings, group: Group) -> Journal | None:
    target = settings.journal.address()
    try:
        existing(target)
        return open_journal(target, group.name)
    except (Temporary, Permanent):
        return None


def _position(replica: Replica) -> Position | None:
    try:
        return replica.position()
    except Permanent:
        return None


def _noted(known: OpenDrift | None) -> Json | None:
    from trueup.audit.report import iso

    if known is None:
        return None
    return {
        "id": known.drift.id,
        "state": known.state,
        "first_found_at": iso(known.first_found_at),
        "cause": None if known.drift.cause is None else known.drift.cause.value,
        "since": known.drift.since,
    }
