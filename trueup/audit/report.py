"""The audit report as data: version 1 of the JSON contract (`trueup/schemas/audit-report.json`).

Everything that other formats show (table, HTML) is in here; they add nothing of their own.
"""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeAlias

import trueup
from verifier.compare import Comparison, SchemaFinding
from verifier.drift import Drift, Verdict
from verifier.journal import ChunkResult
from verifier.ports import Identity
from verifier.table import Key, Table, TableName
from verifier.tolerated import words

if TYPE_CHECKING:
    from verifier.invariant import Finding

Json: TypeAlias = dict[str, Any]

VERSION = 1
STANDINGS = ("unread", "match", "drift", "in_flight", "unverified")
"""What a chunk can be in `chunk_map`; the place is its code in `Tally`."""


@dataclass(slots=True)
class Tally:
    """What the chunks of one table on one follower add up to; fed chunk by chunk, so that memory stays flat."""

    total: int = 0
    match: int = 0
    drift: int = 0
    in_flight: int = 0
    unverified: int = 0
    leader_rows: int = 0
    follower_rows: int = 0
    kinds: dict[str, int] = field(default_factory=lambda: {"missing": 0, "extra": 0, "mismatched": 0})
    reason: str | None = None
    _standings: bytearray = field(default_factory=bytearray)

    def add(self, result: ChunkResult) -> None:
        """Count one finished chunk. A chunk with unsettled keys counts as in flight, whatever else it has."""
        self.total += 1
        self.leader_rows += result.leader.rows
        self.follower_rows += result.follower_digest.rows
        standing = "in_flight" if result.unsettled else result.verdict.value
        setattr(self, standing, getattr(self, standing) + 1)
        missing = result.chunk.index + 1 - len(self._standings)
        self._standings.extend(bytes(max(0, missing)))
        self._standings[result.chunk.index] = STANDINGS.index(standing)
        self.reason = self.reason or result.reason

    def chunk_map(self) -> list[list[str | int]]:
        """The chunks in key order as runs of equal standing: `[["match", 12], ["drift", 1]]`."""
        return [[STANDINGS[code], len(list(run))] for code, run in groupby(self._standings)]

    def verdict(self, problem: str | None) -> Verdict:
        """Drift outweighs doubt (the exit code says both apart); doubt is never match."""
        if any(self.kinds.values()):
            return Verdict.DRIFT
        if problem is not None or self.in_flight or self.unverified:
            return Verdict.UNVERIFIED
        return Verdict.MATCH


def table_entry(
    table: TableName,
    follower: str,
    tally: Tally,
    *,
    scheme: str,
    excluded: Sequence[str] = (),
    findings: Sequence[SchemaFinding] = (),
    drifts: Sequence[Drift] = (),
    key: Sequence[str] = (),
    problem: str | None = None,
    seconds: float = 0.0,
    how: Mapping[str, Any] | None = None,
) -> Json:
    """One element of `tables`. `drifts` may be fewer than the tally counted: `truncated` says so. `how`: what
    `how_compared` told of it."""
    counted = sum(tally.kinds.values())
    return {
        "table": str(table),
        "follower": follower,
        "verdict": tally.verdict(problem).value,
        "reason": problem or tally.reason,
        "scheme": scheme,
        **(how or {}),
        "excluded_columns": list(excluded),
        "rows": {"leader": tally.leader_rows, "follower": tally.follower_rows},
        "chunks": {
            "total": tally.total,
            "match": tally.match,
            "drift": tally.drift,
            "in_flight": tally.in_flight,
            "unverified": tally.unverified,
        },
        "chunk_map": tally.chunk_map(),
        "drift": dict(tally.kinds),
        "truncated": counted > len(drifts),
        "seconds": round(seconds, 3),
        "schema": [schema_entry(finding) for finding in findings],
        "rows_drifted": [drift_entry(drift, key) for drift in drifts],
    }


def how_compared(compared: Comparison, why: str = "") -> Json:
    """How a table was read: key, number of columns, filter, names on the follower; `why` the scheme is no cheaper."""
    ours, theirs = compared.leader, compared.follower
    return {
        "scheme_why": why or None,
        "key": list(ours.key),
        "columns_compared": len(ours.columns),
        "where": ours.where,
        "table_on_follower": None if theirs.stored == ours.name else str(theirs.stored),
        "renamed_columns": {column.name: column.stored for column in theirs.columns if column.stored != column.name},
        "excluded_why": dict(compared.excluded_why),
        "tolerances": words(compared),
        "remarks": list(compared.remarks),
    }


def schema_entry(finding: SchemaFinding) -> Json:
    """One element of `schema`."""
    return {
        "object": finding.object,
        "what": finding.what,
        "leader": finding.leader,
        "follower": finding.follower,
        "severity": finding.severity.value,
        "note": finding.note,
    }


def ran_by(command: str) -> dict[str, str]:
    """Who runs this, where, with which trueup. `command` is the command line without its secrets."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = str(os.getuid())
    return {"user": user, "host": socket.gethostname(), "trueup": trueup.__version__, "command": command}


def drift_entry(drift: Drift, key: Sequence[str]) -> Json:
    """One element of `rows_drifted`; with `cause` and `since` once somebody has looked into them."""
    return {
        "id": drift.id,
        "kind": drift.kind.value,
        "key": key_object(key, drift.key),
        "columns": {name: {"leader": d.leader, "follower": d.follower} for name, d in drift.columns.items()},
        "evidence": drift.evidence.certainty.value,
        "method": drift.evidence.method.value,
        "positions": dict(drift.evidence.positions),
        **({"cause": drift.cause.value, "since": drift.since} if drift.cause is not None else {}),
    }


def key_object(names: Sequence[str], key: Key) -> Json:
    """The key by column name; by position where the names are not known any more."""
    known = names if len(names) == len(key) else [str(i) for i in range(len(key))]
    return dict(zip(known, key, strict=True))


def finding_entry(finding: Finding) -> Json:
    """One element of `invariants`."""
    return {
        "name": finding.name,
        "verdict": finding.standing.value,
        "violations": finding.violations,
        "more": finding.more,
        "reason": finding.reason,
        "sample": [dict(row) for row in finding.sample],
    }


def not_begun(table: TableName, schemes: Mapping[str, str]) -> list[Json]:
    """Elements of `tables` for one to which a run that was stopped did not come; `schemes` by follower."""
    why = "stopped before the table was begun"
    return [table_entry(table, name, Tally(), scheme=scheme, problem=why) for name, scheme in schemes.items()]


def report(
    run: str,
    *,
    started_at: float,
    finished_at: float | None,
    leader: Mapping[str, str],
    followers: Sequence[Mapping[str, str]],
    tables: Sequence[Json],
    invariants: Sequence[Json] = (),
    settings: Mapping[str, Any] | None = None,
    by: Mapping[str, str] | None = None,
) -> Json:
    """The whole report. `leader` and `followers` hold name, engine, server_version (and role); `by` is what `ran_by`
    told. What a run did not come to is not equal: unfinished, its verdict is unverified at best."""
    verdict = overall(tables, invariants)
    if finished_at is None and verdict == Verdict.MATCH.value:
        verdict = Verdict.UNVERIFIED.value
    return {
        "version": VERSION,
        "run": run,
        "started_at": iso(started_at),
        "finished_at": None if finished_at is None else iso(finished_at),
        "verdict": verdict,
        "leader": dict(leader),
        "followers": [dict(f) for f in followers],
        "settings": dict(settings or {}),
        **({"by": dict(by)} if by else {}),
        "tables": list(tables),
        "invariants": list(invariants),
    }


def overall(tables: Sequence[Json], invariants: Sequence[Json]) -> str:
    """`drift` if anything differs or is violated, else `unverified` if anything is in doubt (also: nothing to look
    at), else `match`."""
    verdicts = {entry["verdict"] for entry in tables}
    standings = {entry["verdict"] for entry in invariants}
    if "drift" in verdicts or "violated" in standings:
        return Verdict.DRIFT.value
    if "unverified" in verdicts | standings or not (tables or invariants):
        return Verdict.UNVERIFIED.value
    return Verdict.MATCH.value


def described(name: str, identity: Identity | None) -> dict[str, str]:
    """A server of the report; None: it never answered."""
    if identity is None:
        return {"name": name, "engine": "unknown", "server_version": "unreachable", "role": "unknown"}
    return {
        "name": name,
        "engine": identity.engine,
        "server_version": identity.version,
        "role": identity.role.value,
    }


def iso(at: float) -> str:
    """Seconds since the epoch as RFC 3339 in UTC with milliseconds."""
    moment = datetime.fromtimestamp(at, tz=UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def key_names(table: Table) -> tuple[str, ...]:
    return table.key
