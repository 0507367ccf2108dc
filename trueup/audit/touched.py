"""The audit of those keys of a table that were touched since an earlier one.

Which keys is the journal's to say (`verifier.marks`); they are judged by the rules of evidence, a page at a time, so
memory does not grow with their number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from trueup.audit.report import Tally
from trueup.audit.tools import Tools
from verifier.compare import Comparison
from verifier.digest import Digest
from verifier.drift import Drift, Verdict
from verifier.errors import Permanent
from verifier.excerpt import Hide, excerpts
from verifier.identity import drift_id, listed, parse_key
from verifier.journal import ChunkResult
from verifier.keyrange import Chunk, KeyRange
from verifier.outcome import Differs, Moving
from verifier.ports import Replica
from verifier.settle import Leaving, Room
from verifier.table import Key, Table

PAGE = 2_000

Pages = Callable[[str, str], Sequence[str]]
"""Of a follower: the next keys behind one, as `key_text` writes them, in the order of these texts; none: no more."""


@dataclass(slots=True)
class TouchedWalk:
    """One table on `sides`. After `run` as any walk (`trueup.audit.walking`); `looked_at` counts keys by follower."""

    tools: Tools
    table: Table
    sides: dict[str, tuple[Replica, Comparison]]
    pages: Pages
    tallies: dict[str, Tally] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    interrupted: bool = False
    resumable: bool = False
    looked_at: dict[str, int] = field(default_factory=dict)

    def run(self) -> None:
        for name, (replica, compared) in self.sides.items():
            self.tallies[name], self.looked_at[name] = Tally(), 0
            try:
                self._follower(name, replica, compared)
            except Permanent as problem:
                self.problems[name] = str(problem)
            if self.interrupted:
                return

    def _follower(self, name: str, replica: Replica, compared: Comparison) -> None:
        room: Room[None] = Room(lambda keys: self.tools.judge(replica, compared, keys), self.tools.settle)
        after = ""
        for index in range(1 << 62):
            if self.tools.brakes is not None:
                self.tools.brakes.hold(self.table.name)
            if self.tools.stop():
                self.interrupted = True
                return
            page = self.pages(name, after)
            if not page:
                return
            if self.tools.brakes is not None:
                self.tools.brakes.admit(len(page))
            after = page[-1]
            keys = [parse_key(spelled) for spelled in page]
            room.admit(keys, None, self.tools.clock.now(), delay=0.0)
            hide = self.tools.masking.hide(self.table.name)
            self._record(name, index, keys, [_excerpted(left, hide) for left in self._settled(room)])

    def _settled(self, room: Room[None]) -> Iterator[Leaving[None]]:
        clock = self.tools.clock
        while room:
            if self.tools.stop():
                yield from room.give_up("stopped before it was judged")
                return
            yield from room.advance(clock.now())
            due = room.next_due()
            if due is not None:
                clock.sleep(min(max(due - clock.now(), 0.0), 0.2))

    def _record(self, name: str, index: int, keys: list[Key], leaving: list[Leaving[None]]) -> None:
        now, table, group = self.tools.clock.now(), self.table.name, self.tools.group
        drifts: list[Drift] = []
        reasons: list[str] = []
        for left in leaving:
            found = left.outcome
            if isinstance(found, Differs):
                one = drift_id(group, name, table, left.key)
                drifts.append(Drift(one, group, name, table, left.key, found.kind, found.columns, found.evidence, now))
            elif isinstance(found, Moving):
                reasons.append(found.why)
        verdict = Verdict.UNVERIFIED if reasons else Verdict.DRIFT if drifts else Verdict.MATCH
        seen = Digest(len(keys), 0)
        result = ChunkResult(
            Chunk(table, KeyRange(), index), name, verdict, seen, seen,
            drifted=len(drifts), unsettled=len(reasons), reason=reasons[0] if reasons else None, at=now,
        )  # fmt: skip
        drifts.sort(key=lambda drift: listed(drift.key))
        self.tools.journal.checkpoint(self.tools.run_id, [result], drifts)
        self.tallies[name].add(result)
        self.looked_at[name] += len(keys)
        self.tools.watcher.rows_read(table, len(keys), suspects=0, drifted=len(drifts))


def _excerpted(left: Leaving[None], hide: Hide | None) -> Leaving[None]:
    """What is kept of it until the page is done."""
    if not isinstance(left.outcome, Differs):
        return left
    return replace(left, outcome=replace(left.outcome, columns=excerpts(left.outcome.columns, hide)))
