"""What others rely on keeps its name: commands and their options, exit codes, the fields of an audit's report, topics.

More may come; nothing here is renamed or taken away within a version.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import typer.main

from reconciler.events import Announcer, DriftNews, drift_event, violation_event
from reconciler.letters import TOPIC
from trueup import exits
from trueup.audit.report import Tally, finding_entry, report, table_entry
from trueup.cli.main import application
from verifier.compare import SchemaFinding, Severity
from verifier.drift import Certainty, Difference, Drift, Evidence, Kind, Method, Verdict
from verifier.invariant import Finding, Standing
from verifier.table import Scheme, TableName

COMMANDS = """
demo audit run pause resume lag drift repairs runs trace check recheck explain init doctor
repair plan|approve|reject|apply|undo
connector render|register|status|restart|pause|resume|delete
config check|show|schema
"""
OF_AUDIT = """
--config --leader --follower --table --where --columns --exclude --key --format --output --resume --stop-after
--max-load --max-lag --max-rows-per-second --stream --since --cutover
"""
IN_JSON = "audit lag drift repairs runs trace check recheck explain doctor pause resume"
REPORT: dict[str, Any] = {
    "version": 0, "run": "", "started_at": "", "finished_at": "", "verdict": "",
    "leader": {"name": "", "engine": "", "server_version": ""},
    "tables": [{
        "table": "", "follower": "", "verdict": "", "reason": None, "scheme": "", "excluded_columns": [],
        "rows": {"leader": 0, "follower": 0},
        "chunks": {"total": 0, "match": 0, "drift": 0, "in_flight": 0, "unverified": 0},
        "drift": {"missing": 0, "extra": 0, "mismatched": 0}, "truncated": False, "seconds": 0.0,
        "schema": [{"object": "", "what": "", "leader": "", "follower": ""}],
        "rows_drifted": [{
            "id": "", "kind": "", "key": {"id": 42}, "columns": {"amount": {"leader": "", "follower": ""}},
            "evidence": "", "method": "",
        }],
    }],
    "invariants": [{"name": "", "verdict": "", "violations": 0, "sample": []}],
}  # fmt: skip
WORDS = {
    Verdict: {"match", "drift", "unverified"},
    Kind: {"missing", "extra", "mismatched"},
    Scheme: {"native", "canonical", "client"},
    Certainty: {"proven", "probable"},
    Method: {"visibility", "bracketed", "snapshot", "repeated"},
    Standing: {"holds", "violated", "unverified"},
}
NAME = TableName("public", "orders")
DRIFT = Drift(
    "d", "g", "eu", NAME, (42,), Kind.MISMATCHED, {"amount": Difference("1.00", "2.00")},
    Evidence(Certainty.PROVEN, Method.BRACKETED, {}), 1.0,
)  # fmt: skip
BROKEN = Finding("books", Standing.VIOLATED, at=1.0, violations=1, sample=({"account": "1"},))


def options(command: Any) -> set[str]:
    return {word for parameter in command.params for word in parameter.opts}


def test_every_command_is_there_and_what_is_listed_comes_as_json() -> None:
    top: Any = typer.main.get_command(application())
    for line in COMMANDS.strip().splitlines():
        first, *others = line.split()
        if others and "|" in others[0]:
            assert set(others[0].split("|")) <= set(top.commands[first].commands), first
        else:
            assert {first, *others} <= set(top.commands)
    assert set(OF_AUDIT.split()) <= options(top.commands["audit"])
    assert [name for name in IN_JSON.split() if "--format" not in options(top.commands[name])] == []


def test_exit_codes() -> None:
    told = (exits.EQUAL, exits.DRIFT, exits.USAGE, exits.CONFIGURATION, exits.UNVERIFIED, exits.UNREACHABLE)
    assert told == (0, 1, 2, 3, 4, 5)
    assert [exits.of_verdict(verdict) for verdict in ("match", "drift", "unverified", "anything")] == [0, 1, 4, 4]


def lost(wanted: Any, told: Any, where: str) -> Iterator[str]:
    """Fields of `wanted` that `told` lacks, with the type that the field must have."""
    if isinstance(wanted, dict):
        for name, value in wanted.items():
            if name in told:
                yield from lost(value, told[name], f"{where}.{name}")
            else:
                yield f"{where}.{name}"
    elif isinstance(wanted, list) and wanted:
        yield from lost(wanted[0], told[0], f"{where}[]")
    elif wanted is not None and not isinstance(told, type(wanted)):
        yield f"{where} is {told!r}"


def test_no_field_of_the_report_is_lost() -> None:
    change = SchemaFinding("amount", "type", "numeric(12,2)", "numeric(10,2)", Severity.WARNING)
    table = table_entry(
        NAME, "eu", Tally(), scheme="native", findings=[change], drifts=[DRIFT], key=("id",), seconds=0.1
    )
    server = {"name": "leader", "engine": "postgresql", "server_version": "15"}
    told = report(
        "run", started_at=0.0, finished_at=1.0, leader=server, followers=[], tables=[table],
        invariants=[finding_entry(BROKEN)],
    )  # fmt: skip
    assert list(lost(REPORT, told, "")) == []
    assert told["version"] == 1
    assert told["tables"][0]["rows_drifted"][0]["key"] == {"id": 42}, "a number stays one"


@pytest.mark.parametrize("kind", WORDS, ids=lambda kind: kind.__name__)
def test_words_of_the_report(kind: Any) -> None:
    assert {one.value for one in kind} == WORDS[kind]


def test_topics() -> None:
    announcer = Announcer("one", "shop")
    drift = drift_event(announcer, DRIFT, DriftNews.OPENED, key_columns=("id",), now=1.0)
    violation = violation_event(announcer, BROKEN, since=1.0, now=1.0)
    assert (drift.topic, violation.topic, TOPIC) == ("drift", "violations", "dead-letters")
    assert drift.key == "shop|public.orders|[42]"
