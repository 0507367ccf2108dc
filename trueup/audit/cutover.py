"""`trueup audit --cutover`: the audit of a leader that stands still, and the checklist around it.

The leader is asked for its next transaction id and its position before the first read, now and then in between, and
after the last read. If it took ids meanwhile, its tables are asked whether any row of them is younger than the first
mark: analyze and other databases take ids as well. Followers must have applied the leader's position of the beginning
before they are read, and that of the end before the list is closed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from trueup.audit.lineup import Lineup
from trueup.audit.progress import Watcher
from trueup.audit.report import Json, iso
from verifier.checklist import Check, Result, goes, several, worst
from verifier.cutover import Rows, described, moved
from verifier.drift import Verdict
from verifier.errors import Forbidden, Permanent, Temporary
from verifier.look import Publishes
from verifier.ports import Clock, Replica
from verifier.stillness import StillPoint, still_point
from verifier.surroundings import Surrounded, Surroundings, Written, compared
from verifier.table import TableName
from verifier.tolerance import Tolerance

_QUIET_SECONDS = 10.0
_ASK_EVERY_SECONDS = 2.0
_POLL_SECONDS = 0.1
_STRICTER = Tolerance(strict_scale=True).words()
_OF_THEIR_OWN = ("index", "unique", "check", "foreign key", "sequence")
_STOP = (
    "stop the application; make the leader read-only (the check of that name says how); revoke what it writes with; "
    "end the sessions that are left; then audit again"
)


@dataclass(slots=True)
class Cutover:
    """One cutover audit. `begin` before the audit runs, `attend` while it does, `close` with its report. `asked`: the
    servers whose engine can tell what lies beside the rows. Followers are waited for up to `patience_seconds`. `own`:
    patterns (`!schema.table`) of the tables that are trueup's own and not the application's."""

    lineup: Lineup
    asked: Mapping[str, Surrounded]
    clock: Clock
    watcher: Watcher
    patience_seconds: float
    own: Sequence[str] = ()
    _from: float = 0.0
    _first: StillPoint | None = None
    _noticed: str = ""
    _asked_at: float = 0.0
    _late: dict[str, str] = field(default_factory=dict)

    def begin(self) -> None:
        """Find the moment from which on the leader stands still, and wait until the followers are there."""
        self._from = self._asked_at = self.clock.now()
        try:
            self._first = self._still(min(_QUIET_SECONDS, self.patience_seconds))
        except Permanent as problem:
            self.watcher.note(f"the leader does not tell whether it stands still: {problem}")
        if self._first is None:
            self.watcher.note("the leader is not seen to stand still: nothing will be proven")
            return
        until = self.clock.now() + self.patience_seconds
        for name, replica in self.lineup.followers.items():
            check = self._applied(name, replica, self._first, until)
            if check.result is not Result.PASS:
                self._late[name] = check.detail
                self.watcher.note(f"{name}: {check.detail}")

    def attend(self, stop: Callable[[], bool]) -> Callable[[], bool]:
        """The audit's `stop`, which is called before every chunk: a good moment to look whether the leader moved."""

        def stops() -> bool:
            now = self.clock.now()
            if self._first is not None and not self._noticed and now - self._asked_at >= _ASK_EVERY_SECONDS:
                self._asked_at = now
                self._notice()
            return stop()

        return stops

    def close(self, report: Json) -> Json:
        """The report with its checklist, and with the verdict that both come to."""
        try:
            last = self._still(min(_QUIET_SECONDS, self.patience_seconds))
        except (Temporary, Permanent) as problem:
            last = None
            self.watcher.note(f"the leader could not be asked where it stands in the end: {problem}")
        checks = [*self._checks(report, last)]
        result = worst([check.result for check in checks])
        if result is Result.FAIL:
            report["verdict"] = Verdict.DRIFT.value
        elif result is Result.UNKNOWN and report["verdict"] == Verdict.MATCH.value:
            report["verdict"] = Verdict.UNVERIFIED.value
        position = last.position.text() if last is not None else None
        report["cutover"] = {
            "verdict": "go" if goes(checks) and report["verdict"] == Verdict.MATCH.value else "no-go",
            "still": {"from": iso(self._from), "to": iso(self.clock.now()), "position": position},
            "checks": [
                {
                    "id": check.id,
                    "on": check.on,
                    "what": check.what,
                    "result": check.result.value,
                    "detail": check.detail,
                    "todo": "" if check.result is Result.PASS else check.todo,
                }
                for check in checks
            ],
        }
        return report

    def _checks(self, report: Json, last: StillPoint | None) -> Iterator[Check]:
        leader = self.lineup.leader
        entries = report["tables"]
        yield self._stillness(entries, last)
        if report["finished_at"] is None:
            yield Check("finished", leader.name, "the audit came to its end", Result.UNKNOWN, "it was stopped", "again")
        yield from _invariants(report["invariants"], leader.name)
        names = sorted({TableName.parse(entry["table"]) for entry in entries})
        ours, why = self._surroundings(leader, names)
        yield from ours.checks if ours is not None else ()
        unasked = self._unasked(names)
        until = self.clock.now() + self.patience_seconds
        for name, replica in self.lineup.followers.items():
            if last is not None:
                yield self._applied(name, replica, last, until)
            mapped = {self.lineup.name_on(replica, one): one for one in names}
            theirs, trouble = self._surroundings(replica, list(mapped))
            rows = Rows(name, partial=list(unasked))
            alike = replica.dialect == leader.dialect
            apart = _OF_THEIR_OWN if alike and ours is not None and theirs is not None else ()
            for entry in entries:
                if entry["follower"] == name:
                    _feed(rows, entry, report.get("settings", {}).get("where") or {}, apart)
            yield from rows.checks()
            yield self._tables(name, replica, names)
            yield from theirs.checks if theirs is not None else ()
            yield from compared(ours, theirs, name, mapped, why or trouble, alike=alike)

    def _stillness(self, entries: Sequence[Json], last: StillPoint | None) -> Check:
        leader, first = self.lineup.leader, self._first
        what = "the leader stood still from before the first read to after the last"
        if first is None or last is None:
            when = "transactions were running before the first read, or it does not tell"
            if first is not None:
                when = "transactions were running after the last read, or it did not answer"
            return Check("leader-still", leader.name, what, Result.UNKNOWN, when, _STOP)
        if first.mark == last.mark:
            detail = f"no transaction began, from {first.position.text()} to {last.position.text()}"
            return Check("leader-still", leader.name, what, Result.PASS, detail)
        told = f"it went from {first.position.text()} to {last.position.text()}, and transactions began"
        written: dict[TableName, tuple[int, Written | None]] = {}
        for entry in entries:
            name = TableName.parse(entry["table"])
            known = written.get(name)
            if entry["chunks"]["total"] and (known is None or known[0] == entry["rows"]["leader"]):
                written[name] = (entry["rows"]["leader"], known[1] if known else self._written(name, first))
            else:
                written[name] = (entry["rows"]["leader"], None)
        return moved(written, f"{told}{self._noticed}", _STOP, leader.name)

    def _written(self, name: TableName, first: StillPoint) -> Written | None:
        asked = self.asked.get(self.lineup.leader.name)
        if asked is None:
            return None
        try:
            return asked.written(self.lineup.table(name), first.mark)
        except (Temporary, Permanent) as problem:
            self.watcher.note(f"{name}: {problem}")
            return None

    def _surroundings(self, replica: Replica, tables: Sequence[TableName]) -> tuple[Surroundings | None, str]:
        asked = self.asked.get(replica.name)
        if asked is None:
            return None, f"{replica.name} is not asked for it: not known how to on {replica.dialect}"
        try:
            return asked.surroundings(tables), ""
        except (Temporary, Permanent) as problem:
            return None, str(problem)

    def _tables(self, on: str, replica: Replica, names: Sequence[TableName]) -> Check:
        """Tables that only one side has."""
        what, todo = "both sides have the same tables", "create the table there, or drop what nobody needs"
        try:
            everything = set(replica.tables(("*",)))
            matching = {self._ours(replica, one) for one in replica.tables(self.lineup.request.patterns)}
            theirs = {name: self.lineup.name_on(replica, name) for name in names}
            missing = [
                name for name, own in theirs.items() if own not in everything and not replica.tables((str(own),))
            ]
        except (Temporary, Permanent) as problem:
            return Check("tables", on, what, Result.UNKNOWN, str(problem), "audit again")
        extra = sorted(matching - set(names) - set(theirs.values()))
        told = [f"{name} is missing" for name in missing] + [f"{name} is on the follower only" for name in extra]
        if told:
            return Check("tables", on, what, Result.FAIL, "; ".join(told[:10]), todo)
        return Check("tables", on, what, Result.PASS, several(len(names), "table"))

    def _unasked(self, names: Collection[TableName]) -> list[str]:
        """The leader's tables that lie in the compared schemas and were not asked for, in words."""
        asked, schemas = set(names), {name.schema for name in names}
        try:
            there = self.lineup.leader.tables(("*", *self.own))
        except (Temporary, Permanent) as problem:
            return [f"which tables there are could not be asked: {problem}"]
        return [f"{one} was not asked for" for one in there if one.schema in schemas and one not in asked]

    def _ours(self, replica: Replica, name: TableName) -> TableName:
        """The leader's name of what the follower calls so, default schemas taken for each other."""
        ours, theirs = self.lineup.leader.default_schema, replica.default_schema
        return TableName(ours, name.name) if ours is not None and name.schema == theirs else name

    def _still(self, seconds: float) -> StillPoint | None:
        """The leader's present moment, once nothing runs on it; None if something does for that long."""
        leader, until = self.lineup.leader, self.clock.now() + seconds
        while True:
            mark = leader.mark()
            view = leader.ask("select 1", rows_max=1, seconds_max=10.0).view
            point = still_point(mark, view, leader.position())
            if point is not None or self.clock.now() >= until:
                return point
            self.clock.sleep(_POLL_SECONDS)

    def _notice(self) -> None:
        first = self._first
        assert first is not None
        try:
            mark = self.lineup.leader.mark()
        except (Temporary, Permanent):
            return  # the audit itself will stumble over it
        if mark != first.mark:
            self._noticed = f", noticed at {iso(self.clock.now())}"
            self.watcher.note(f"the leader moved: its mark was {first.mark} and is {mark}")

    def _applied(self, on: str, replica: Replica, point: StillPoint, until: float) -> Check:
        """Whether the follower shows everything that the leader had committed at this point."""
        what, wanted = "the leader's final position is applied", point.position.text()
        why = ""
        while True:
            try:
                reached = replica.position()
                why = f"it has applied {reached.text()}, the leader stands at {wanted}"
                if reached.covers(point.position) and self._shown(replica, until):
                    return Check("applied", on, what, Result.PASS, wanted)
            except Forbidden as problem:
                return Check("applied", on, what, Result.UNKNOWN, str(problem), "grant the right")
            except Permanent:
                return Check("applied", on, what, Result.PASS, "it follows nobody, and is compared as it is")
            except Temporary as problem:
                why = str(problem)
            if self.clock.now() >= until:
                todo = "see why it does not get on (trueup lag), and audit again"
                return Check("applied", on, what, Result.FAIL, why, todo)
            self.clock.sleep(_POLL_SECONDS)

    def _shown(self, replica: Replica, until: float) -> bool:
        """A follower that publishes a position before it shows it: whether all that had begun there has ended."""
        if replica.publishes is not Publishes.BEFORE_SHOWING:
            return True
        mark = replica.mark()
        while not replica.ask("select 1", rows_max=1, seconds_max=10.0).view.ended_below(mark):
            if self.clock.now() >= until:
                return False
            self.clock.sleep(_POLL_SECONDS)
        return True


def _feed(rows: Rows, entry: Json, conditions: Mapping[str, str], apart: Collection[str]) -> None:
    """Take in one table. `apart`: findings of schema that have lines of their own."""
    name = entry["table"]
    rows.tables += 1
    rows.rows += entry["rows"]["leader"]
    differing = sum(entry["drift"].values())
    if entry["verdict"] == Verdict.DRIFT.value:
        rows.drifted.append(f"{name}: {differing} rows differ")
    if entry["reason"] or entry["verdict"] == Verdict.UNVERIFIED.value:
        rows.doubtful.append(f"{name}: {entry['reason'] or 'not verified'}")
    elif entry["rows"]["leader"] != entry["rows"]["follower"]:
        rows.counts.append(f"{name}: leader {entry['rows']['leader']}, follower {entry['rows']['follower']}")
    if entry["excluded_columns"]:
        rows.partial.append(f"{name} without {', '.join(entry['excluded_columns'])}")
    if loose := [one for one, what in entry.get("tolerances", {}).items() if what != _STRICTER]:
        rows.partial.append(f"{name} with tolerances for {', '.join(loose)}")
    if name in conditions or "*" in conditions:
        rows.partial.append(f"{name} where {conditions.get(name, conditions.get('*'))}")
    for one in entry["schema"]:
        if one["what"] not in apart:
            words = f"{name}: {one['what']} of {one['object']}{': ' + one['note'] if one['note'] else ''}"
            rows.described.append((described(one["what"], one["leader"], one["note"]), words))
    counted = (entry.get("multiset") or {}).get("evidence")
    if counted == "probable" or any(row["evidence"] != "proven" for row in entry["rows_drifted"]):
        rows.probable.append(name)


def _invariants(found: Sequence[Json], on: str) -> Iterator[Check]:
    if not found:
        return
    what = "every invariant holds"
    told = [
        f"{one['name']}: {one['verdict']}" + (f" ({one['reason']})" if one.get("reason") else "")
        for one in found
        if one["verdict"] != "holds"
    ]
    result = Result.FAIL if any(one["verdict"] == "violated" for one in found) else Result.UNKNOWN
    if told:
        yield Check("invariants", on, what, result, "; ".join(told), "trueup check tells the rows")
    else:
        yield Check("invariants", on, what, Result.PASS, f"{len(found)} hold")
