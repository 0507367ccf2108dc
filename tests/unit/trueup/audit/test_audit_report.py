"""The report's data: how chunks add up, what outweighs what, and who may continue whom."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from fixtures.reports import drifted_row, entry, report

from connectors.memory.clock import VirtualClock
from trueup.audit.inline import shown
from trueup.audit.progress import Lines, duration
from trueup.audit.render import render, render_invariants
from trueup.audit.report import Tally, finding_entry, iso, key_object, overall
from trueup.audit.request import Request, continues
from trueup.cli.discretion import without_passwords
from verifier.digest import Digest
from verifier.drift import Verdict
from verifier.invariant import Finding, Standing
from verifier.journal import ChunkResult
from verifier.keyrange import Chunk, KeyRange
from verifier.look import Role
from verifier.ports import Identity
from verifier.table import TableName

NAME = TableName("public", "t")


def result(
    index: int, verdict: Verdict = Verdict.MATCH, *, unsettled: int = 0, reason: str | None = None
) -> ChunkResult:
    chunk = Chunk(NAME, KeyRange((index,), (index + 1,)), index)
    return ChunkResult(chunk, "f", verdict, Digest(10, 1), Digest(9, 1), unsettled=unsettled, reason=reason)


def test_chunks_add_up_in_whatever_order_they_come() -> None:
    tally = Tally()
    tally.add(result(3, Verdict.DRIFT))
    tally.add(result(0))
    tally.add(result(1))
    tally.add(result(5, Verdict.UNVERIFIED, reason="gone"))
    tally.add(result(4, Verdict.DRIFT, unsettled=2, reason="in flight"))
    assert (tally.total, tally.match, tally.drift, tally.unverified, tally.in_flight) == (5, 2, 1, 1, 1)
    assert (tally.leader_rows, tally.follower_rows) == (50, 45)
    assert tally.chunk_map() == [
        ["match", 2], ["unread", 1], ["drift", 1], ["in_flight", 1], ["unverified", 1],
    ]  # fmt: skip
    assert tally.reason == "gone"


def test_drift_outweighs_doubt_and_doubt_is_never_a_match() -> None:
    clean = Tally()
    clean.add(result(0))
    assert clean.verdict(None) is Verdict.MATCH
    assert clean.verdict("no key") is Verdict.UNVERIFIED
    doubtful = Tally()
    doubtful.add(result(0, Verdict.UNVERIFIED, unsettled=1, reason="in flight"))
    assert doubtful.verdict(None) is Verdict.UNVERIFIED
    doubtful.kinds["extra"] = 1
    assert doubtful.verdict("no key") is Verdict.DRIFT


@pytest.mark.parametrize(
    ("tables", "invariants", "verdict"),
    [
        (["match", "match"], [], "match"),
        (["match", "unverified"], [], "unverified"),
        (["drift", "unverified"], ["violated"], "drift"),
        (["match"], ["violated"], "drift"),
        (["match"], ["unverified"], "unverified"),
        (["match"], ["holds"], "match"),
        ([], ["holds"], "match"),
        ([], [], "unverified"),
    ],
)
def test_the_whole_verdict(tables: list[str], invariants: list[str], verdict: str) -> None:
    assert overall([{"verdict": v} for v in tables], [{"verdict": v} for v in invariants]) == verdict


def identity(system: str) -> Identity:
    return Identity("postgresql", "15", system, 1, Role.STANDBY)


def test_a_run_is_continued_by_the_same_request_on_the_same_servers() -> None:
    request = Request(("public.*",), {"public.t": ("a",)})
    leader, one, other = identity("1"), identity("1"), identity("2")
    begun = request.fingerprint(leader, {"f": one, "g": other})
    shorter = Request(("public.*",), {"public.t": ("a",)}, rows_max=5)
    assert continues(begun, request.fingerprint(leader, {"f": one, "g": other}))
    assert continues(begun, shorter.fingerprint(leader, {"f": one, "g": other}))
    assert continues(begun, request.fingerprint(leader, {"f": one, "g": None}))
    assert continues(request.fingerprint(leader, {"f": one, "g": None}), begun)
    assert not continues(begun, request.fingerprint(leader, {"f": one, "g": one}))
    assert not continues(begun, request.fingerprint(other, {"f": one, "g": other}))
    assert not continues(begun, request.fingerprint(leader, {"f": one}))
    assert not continues(begun, Request(("*",), {"public.t": ("a",)}).fingerprint(leader, {"f": one, "g": other}))
    assert not continues(begun, Request(("public.*",)).fingerprint(leader, {"f": one, "g": other}))


def test_no_run_is_continued_over_a_failover() -> None:
    """Neither with a leader that was promoted meanwhile, nor with a standby that leads itself by now."""
    request, leader, standby = Request(), identity("1"), identity("1")
    begun = request.fingerprint(leader, {"f": standby})
    assert not continues(begun, request.fingerprint(replace(leader, timeline=2), {"f": standby}))
    assert not continues(begun, request.fingerprint(leader, {"f": replace(standby, role=Role.SUBSCRIBER)}))
    assert continues(begun, request.fingerprint(leader, {"f": replace(standby, timeline=2)}))


def test_values_for_people() -> None:
    assert (shown(None), shown(""), shown("NULL")) == ("NULL", "''", "'NULL'")
    assert len(shown("x" * 1_000)) < 60
    assert shown("\\x00ff\x1b[2J\n") == "'\\x00ff\\x1b[2J\\n'"


def test_times_for_people_and_programs() -> None:
    assert [duration(s) for s in (0.4, 75, 3_720)] == ["0.4s", "1m15s", "1h02m"]
    assert iso(0.0015) == "1970-01-01T00:00:00.001Z"


def test_names_from_a_database_do_not_steer_the_terminal() -> None:
    hostile = "x[/red][bold] :smile: \x1b[2J\u202e"
    row = drifted_row("mismatched", {hostile: hostile}, {hostile: (hostile, None)})
    finding = {"object": hostile, "what": "type", "leader": hostile, "follower": None}
    told = entry(hostile, hostile, "drift", reason=hostile, schema=[finding], rows_drifted=[row])
    out = io.StringIO()
    invariant = {"name": "x", "verdict": "holds", "violations": 0, "sample": []}
    render(report("drift", [told], [invariant]), out)
    text = out.getvalue()
    assert not {"\x1b", "\u202e"} & set(text)
    assert "[/red][bold] :smile: \\x1b[2J\\u202e" in text


def test_what_an_invariant_found_counts_only_when_it_is_violated() -> None:
    told = [
        finding_entry(Finding("a", Standing.VIOLATED, 1.0, 1, ({"id": "7"},))),
        finding_entry(Finding("b", Standing.VIOLATED, 1.0, 1000, more=True)),
        finding_entry(Finding("c", Standing.UNVERIFIED, 1.0, 2, ({"id": "8"},), reason="busy or broken")),
        finding_entry(Finding("d", Standing.HOLDS, 1.0)),
    ]
    out = io.StringIO()
    render_invariants({"verdict": "drift", "invariants": told}, out)
    assert [line.rstrip() for line in out.getvalue().splitlines()] == [
        "invariant a: violated, 1 violation",
        "      id='7'",
        "invariant b: violated, 1,000+ violations",
        "invariant c: unverified, 2 suspected (busy or broken)",
        "      id='8'",
        "invariant d: holds",
        "violated",
    ]


def test_keys_by_name_or_by_place() -> None:
    assert key_object(("a", "b"), (1, "x")) == {"a": 1, "b": "x"}
    assert key_object((), (1,)) == {"0": 1}


def test_plain_progress_is_a_line_every_ten_seconds() -> None:
    clock, text = VirtualClock(), io.StringIO()
    lines = Lines(clock.now(), clock, text)
    lines.table_begins(NAME, 1_000)
    for _ in range(25):
        clock.sleep(1.0)
        lines.rows_read(NAME, 20, suspects=1, drifted=2)
    lines.table_ends(NAME, "drift")
    assert text.getvalue().splitlines() == [
        "public.t: 200 rows, 20/s, about 40s left; 1 settling, 2 drifted",
        "public.t: 400 rows, 20/s, about 30s left; 1 settling, 2 drifted",
        "public.t: drift, 500 rows in 25.0 s",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("postgresql://u:p@h/d", "postgresql://u@h/d"),
        ("eu=postgresql://u:p%40x@h:5432/d?sslmode=disable", "eu=postgresql://u@h:5432/d?sslmode=disable"),
        ("postgresql://u@h:5432/d", "postgresql://u@h:5432/d"),
        ("postgresql://h/d?user=u&password=secret&x=1", "postgresql://h/d?user=u&password=&x=1"),
        ("public.*", "public.*"),
    ],
)
def test_passwords_are_left_out(text: str, told: str) -> None:
    assert without_passwords(text) == told
