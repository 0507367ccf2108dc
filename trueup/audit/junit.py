"""The report as JUnit XML, for CI systems: a suite per follower with a case per table, one of the invariants, and
one of a cutover's checklist.

Drift is a failure. What could not be verified is an error, because a skipped case shows green nearly everywhere. The
names of elements and attributes are those of the schema that Jenkins' xUnit plugin publishes (`junit-10.xsd`), which
other CI systems read too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from xml.etree import ElementTree

from trueup.audit.inline import shown
from trueup.audit.progress import visible

_ROWS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class _Case:
    """`outcome` is `passed`, `failure` or `error`; `message` one line, `text` the whole story."""

    place: str
    name: str
    seconds: float
    outcome: str = "passed"
    kind: str = ""
    message: str = ""
    text: Sequence[str] = field(default_factory=tuple)


def junit(report: dict[str, Any]) -> str:
    """One document. Control characters, which XML cannot hold, are written as escapes."""
    root = ElementTree.Element("testsuites", name=f"trueup audit {report['run']}")
    totals: list[_Case] = []
    suites = list(_suites(report))
    for number, (name, cases) in enumerate(suites):
        _suite(root, report, number, name, cases)
        totals += cases
    _count(root, totals)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _suites(report: dict[str, Any]) -> Iterator[tuple[str, list[_Case]]]:
    followers = [one["name"] for one in report.get("followers", ())]
    followers += [entry["follower"] for entry in report["tables"]]
    for follower in dict.fromkeys(followers):
        yield follower, [_table(entry) for entry in report["tables"] if entry["follower"] == follower]
    if report["invariants"]:
        yield "invariants", [_invariant(entry) for entry in report["invariants"]]
    if report.get("cutover"):
        yield "cutover", [_check(one) for one in report["cutover"]["checks"]]
    gone = report.get("restore", {}).get("tables_gone")
    if gone:
        message = f"tables that only the backup has: {', '.join(gone)}"
        yield "restore", [_Case("restore", "tables", 0.0, "error", "unverified", message, [message])]
    if report["finished_at"] is None or not (report["tables"] or report["invariants"]):
        yield "run", [_run(report)]


def _table(entry: dict[str, Any]) -> _Case:
    schema, _, name = entry["table"].partition(".")
    place, seconds = f"{entry['follower']}.{schema}", entry["seconds"]
    doubts = [entry["reason"]] if entry["reason"] else []
    if entry["verdict"] == "drift":
        counts = ", ".join(f"{count} {kind}" for kind, count in entry["drift"].items() if count)
        total = sum(entry["drift"].values())
        message = f"{total} of {entry['rows']['leader']} rows differ: {counts}" if counts else "drift"
        text = [message, *_findings(entry), *_rows(entry), *(f"not verified: {one}" for one in doubts)]
        return _Case(place, name, seconds, "failure", "drift", message, text)
    if entry["verdict"] != "match":
        message = entry["reason"] or "not everything could be verified"
        return _Case(place, name, seconds, "error", "unverified", message, [message, *_findings(entry)])
    return _Case(place, name, seconds)


def _findings(entry: dict[str, Any]) -> Iterator[str]:
    for one in entry["schema"]:
        leader, follower = (side or "absent" for side in (one["leader"], one["follower"]))
        yield f"{one['what']} of {one['object']}: leader {leader}, follower {follower}"


def _rows(entry: dict[str, Any]) -> Iterator[str]:
    listed = entry["rows_drifted"][:_ROWS_SHOWN]
    for row in listed:
        key = ", ".join(f"{name}={value}" for name, value in row["key"].items())
        cause = f", {row['cause']}" if row.get("cause") else ""
        yield f"{row['kind']} {key} [{row['evidence']}, {row['method']}{cause}, drift {row['id']}]"
        if row["kind"] == "mismatched":
            for name, both in row["columns"].items():
                yield f"    {name}: leader {shown(both['leader'])}, follower {shown(both['follower'])}"
    more = sum(entry["drift"].values()) - len(listed)
    if more > 0:
        yield f"and {more} more"


def _invariant(entry: dict[str, Any]) -> _Case:
    reason = entry.get("reason")
    if entry["verdict"] == "violated":
        message = f"{entry['violations']}{'+' if entry.get('more') else ''} violations"
        sample = [", ".join(f"{name}={shown(value)}" for name, value in row.items()) for row in entry["sample"]]
        text = [message, *sample[:_ROWS_SHOWN], *([reason] if reason else [])]
        return _Case("invariants", entry["name"], 0.0, "failure", "violated", message, text)
    if entry["verdict"] != "holds":
        message = reason or "could not be checked"
        return _Case("invariants", entry["name"], 0.0, "error", "unverified", message, [message])
    return _Case("invariants", entry["name"], 0.0)


def _check(check: dict[str, Any]) -> _Case:
    """A warning passes: it is for people to weigh."""
    outcome = {"fail": "failure", "unknown": "error"}.get(check["result"], "passed")
    text = [check["detail"], *([f"to do: {check['todo']}"] if check["todo"] else [])]
    place, message = f"cutover.{check['on']}", f"{check['what']}: {check['detail']}"
    return _Case(place, check["id"], 0.0, outcome, check["result"], message, text)


def _run(report: dict[str, Any]) -> _Case:
    message = "nothing was compared"
    if report["finished_at"] is None:
        message = f"the run did not come to its end: what was not read is not verified (--resume {report['run']})"
    return _Case("run", report["run"], 0.0, "error", "unverified", message, [message])


def _suite(root: ElementTree.Element, report: dict[str, Any], number: int, name: str, cases: list[_Case]) -> None:
    began = datetime.fromisoformat(report["started_at"]).strftime("%Y-%m-%dT%H:%M:%S")
    suite = ElementTree.SubElement(
        root, "testsuite", name=visible(name), id=str(number), package="trueup", timestamp=began
    )
    suite.set("hostname", visible(report.get("by", {}).get("host", "") or "localhost"))
    _count(suite, cases)
    properties = ElementTree.SubElement(suite, "properties")
    for key, value in _properties(report, name):
        ElementTree.SubElement(properties, "property", name=key, value=visible(value))
    for case in cases:
        element = ElementTree.SubElement(
            suite, "testcase", classname=visible(case.place), name=visible(case.name), time=f"{case.seconds:.3f}"
        )
        if case.outcome != "passed":
            told = ElementTree.SubElement(element, case.outcome, type=case.kind, message=visible(case.message))
            told.text = "\n".join(map(visible, case.text))


def _properties(report: dict[str, Any], name: str) -> Iterator[tuple[str, str]]:
    yield "run", report["run"]
    yield "verdict", report["verdict"]
    leader = report["leader"]
    yield "leader", f"{leader['name']} ({leader['engine']} {leader['server_version']})"
    for one in report.get("followers", ()):
        if one["name"] == name:
            yield "follower", f"{one['name']} ({one['engine']} {one['server_version']}, {one.get('role', 'unknown')})"
    yield from report.get("by", {}).items()


def _count(element: ElementTree.Element, cases: Sequence[_Case]) -> None:
    element.set("tests", str(len(cases)))
    element.set("failures", str(sum(case.outcome == "failure" for case in cases)))
    element.set("errors", str(sum(case.outcome == "error" for case in cases)))
    if element.tag == "testsuite":
        element.set("skipped", "0")
    element.set("time", f"{sum(case.seconds for case in cases):.3f}")
