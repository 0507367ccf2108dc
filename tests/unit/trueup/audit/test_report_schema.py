"""The published schema describes what is written: every field of it, and nothing that is not written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from importlib.resources import files
from typing import Any

import pytest
from fixtures.audit_program import valid

from trueup.audit.report import Tally, finding_entry, how_compared, ran_by, report, table_entry
from verifier.compare import comparison, using
from verifier.digest import Digest
from verifier.drift import Certainty, Difference, Drift, DriftCause, Evidence, Kind, Method, Verdict
from verifier.invariant import Finding, Standing
from verifier.journal import ChunkResult
from verifier.keyrange import ALL, Chunk
from verifier.table import Column, Family, Scheme, Table, TableName

NAME = TableName("public", "t")


def whole() -> dict[str, Any]:
    """A report of one table, made by the functions that make real ones."""
    ours = Table(NAME, (Column("id", Family.INTEGER, "int"), Column("mail", Family.TEXT, "text")), ("id",))
    theirs = Table(
        TableName("crm", "t"), (Column("id", Family.INTEGER, "bigint"), Column("email", Family.TEXT, "text")), ("id",)
    )
    compared = using(comparison(ours, theirs, renamed={"mail": "email"}), Scheme.CLIENT, "id < 7")
    tally = Tally(kinds={"missing": 0, "extra": 0, "mismatched": 2})
    tally.add(ChunkResult(Chunk(NAME, ALL, 0), "f", Verdict.DRIFT, Digest(2, 1), Digest(2, 2), drifted=2))
    evidence = Evidence(Certainty.PROVEN, Method.BRACKETED, {"leader": "0/1"})
    drift = Drift("d", "g", "f", NAME, (1,), Kind.MISMATCHED, {"mail": Difference(None, "")}, evidence, 1.0)
    drift = replace(drift, cause=DriftCause.LOST, since="lsn:0/1")
    entry = table_entry(
        NAME, "f", tally, scheme="client", findings=compared.findings, drifts=[drift], key=("id",), seconds=0.5,
        how=how_compared(compared, "because"),
    )  # fmt: skip
    server = {"name": "leader", "engine": "postgresql", "server_version": "15", "role": "leader"}
    return report(
        "run",
        started_at=0.0,
        finished_at=1.0,
        leader=server,
        followers=[{**server, "name": "f", "role": "subscriber"}],
        tables=[entry],
        invariants=[finding_entry(Finding("books", Standing.VIOLATED, at=1.0, violations=1, sample=({"a": None},)))],
        settings={"tables": ["*"]},
        by=ran_by("trueup audit"),
    )


def test_a_report_keeps_to_its_schema() -> None:
    told = valid(json.loads(json.dumps(whole())))
    (entry,) = told["tables"]
    assert (told["verdict"], entry["truncated"]) == ("drift", True)
    assert (entry["scheme_why"], entry["where"], entry["key"]) == ("because", "id < 7", ["id"])
    assert (entry["table_on_follower"], entry["renamed_columns"]) == ("crm.t", {"mail": "email"})
    assert told["by"].keys() == {"user", "host", "trueup", "command"}


def test_an_unfinished_run_is_never_a_match() -> None:
    told = whole()
    servers = {"leader": told["leader"], "followers": told["followers"]}
    equal = {**told["tables"][0], "verdict": "match"}
    for tables, verdict in (([equal], "unverified"), (told["tables"], "drift")):
        assert report("r", started_at=0.0, finished_at=None, tables=tables, **servers)["verdict"] == verdict
    assert report("r", started_at=0.0, finished_at=1.0, tables=[equal], **servers)["verdict"] == "match"


@pytest.mark.parametrize("place", ["", "table", "row", "invariant"])
def test_every_object_of_the_schema_is_closed_and_told(place: str) -> None:
    text = files("trueup").joinpath("schemas/audit-report.json").read_text(encoding="utf-8")
    schema = json.loads(text)
    part = schema["$defs"][place] if place else schema
    assert part["additionalProperties"] is False
    written = {"": [whole()], "table": whole()["tables"], "invariant": whole()["invariants"]}
    written["row"] = [row for entry in whole()["tables"] for row in entry["rows_drifted"]]
    known = set(part["properties"])
    assert all(set(one) <= known for one in written[place])
    assert known - set(_fields(written[place])) <= {"braked_seconds", "cutover", "restore", "since", "multiset"}


def _fields(objects: list[dict[str, Any]]) -> Iterator[str]:
    for one in objects:
        yield from one
