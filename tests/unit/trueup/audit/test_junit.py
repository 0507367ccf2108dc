"""JUnit XML: what CI systems turn red, and nothing in it that breaks them."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest
from fixtures.reports import drifted_row, entry, report

from trueup.audit.junit import junit

COUNTS = {"tests", "failures", "errors", "time"}
ALLOWED = {
    "testsuites": ({"name", *COUNTS}, {"name"}, {"testsuite"}),
    "testsuite": (
        {"name", "id", "package", "hostname", "timestamp", "skipped", *COUNTS},
        {"name", *COUNTS},
        {"properties", "testcase"},
    ),
    "properties": (set(), set(), {"property"}),
    "property": ({"name", "value"}, {"name", "value"}, set()),
    "testcase": ({"classname", "name", "time"}, {"classname", "name", "time"}, {"failure", "error"}),
    "failure": ({"type", "message"}, {"type", "message"}, set()),
    "error": ({"type", "message"}, {"type", "message"}, set()),
}
"""Per element what junit-10.xsd allows and we use: attributes, required attributes, children."""


def parsed(told: dict[str, Any]) -> ElementTree.Element:
    """The document, if it keeps to the schema and its counts are right."""
    root = ElementTree.fromstring(junit(told).encode())
    for element in root.iter():
        allowed, required, children = ALLOWED[element.tag]
        assert required <= element.attrib.keys() <= allowed, element.tag
        assert {child.tag for child in element} <= children, element.tag
    for suite in (root, *root.iter("testsuite")):
        cases = list(suite.iter("testcase"))
        assert suite.get("tests") == str(len(cases))
        for counted, tag in (("failures", "failure"), ("errors", "error")):
            assert suite.get(counted) == str(sum(case.find(tag) is not None for case in cases))
    return root


def test_a_suite_per_follower_and_a_case_per_table() -> None:
    told = report("match", [entry("s.a", "f", "match"), entry("s.b", "f", "match"), entry("s.a", "g", "match")])
    root = parsed(told)
    assert [(suite.get("name"), suite.get("tests")) for suite in root] == [("f", "2"), ("g", "1")]
    assert [(case.get("classname"), case.get("name")) for case in root.iter("testcase")] == [
        ("f.s", "a"), ("f.s", "b"), ("g.s", "a"),
    ]  # fmt: skip
    found = {one.get("name"): one.get("value") for one in root[0].iter("property")}
    assert found["run"] == "0123456789ab"
    assert found["leader"] == "leader (postgresql 15.14)"
    assert root[0].get("timestamp") == "2026-01-01T00:00:00"


def test_drift_fails_with_the_first_rows() -> None:
    rows = [drifted_row("mismatched", {"id": i}, {"note": ("NULL", None)}) for i in range(30)]
    changes = {"rows_drifted": rows, "drift": {"missing": 0, "extra": 2, "mismatched": 30}}
    root = parsed(report("drift", [entry("s.t", "f", "drift", reason="and a chunk was not read", **changes)]))
    (failure,) = root.iter("failure")
    assert (failure.get("type"), failure.get("message")) == ("drift", "32 of 3 rows differ: 2 extra, 30 mismatched")
    lines = (failure.text or "").splitlines()
    assert lines[1] == "mismatched id=0 [proven, bracketed, drift 3f9c1d2a77b04e11]"
    assert lines[2] == "    note: leader 'NULL', follower NULL"
    assert lines[-2:] == ["and 12 more", "not verified: and a chunk was not read"]


@pytest.mark.parametrize("verdict", ["drift", "unverified"])
def test_what_is_not_equal_is_never_green(verdict: str) -> None:
    root = parsed(report(verdict, [entry("s.t", "f", verdict)]))
    assert (root.get("failures"), root.get("errors")) == (("1", "0") if verdict == "drift" else ("0", "1"))
    assert not list(root.iter("skipped"))


def test_an_unfinished_run_is_an_error_even_if_all_that_was_read_is_equal() -> None:
    told = report("unverified", [entry("s.t", "f", "match")])
    told["finished_at"] = None
    (error,) = parsed(told).iter("error")
    assert "--resume 0123456789ab" in str(error.get("message"))
    (error,) = parsed(report("unverified", [])).iter("error")
    assert error.get("message") == "nothing was compared"


def test_invariants_have_a_suite_of_their_own() -> None:
    verdicts = ("holds", "violated", "unverified")
    invariants = [
        {"name": v, "verdict": v, "violations": int(v == "violated"), "more": True, "reason": None,
         "sample": [{"account": "4", "balance": None}]} for v in verdicts
    ]  # fmt: skip
    suite = parsed(report("drift", [], invariants))[1]
    assert suite.get("name") == "invariants"
    assert [[child.tag for child in case] for case in suite.iter("testcase")] == [[], ["failure"], ["error"]]
    (failure,) = suite.iter("failure")
    assert failure.text == "1+ violations\naccount='4', balance=NULL"


def test_a_cutover_has_a_case_per_check() -> None:
    told = report("drift", [entry("s.a", "f", "match")])
    results = ("pass", "warning", "fail", "unknown")
    checks = [
        {
            "id": one,
            "on": "f",
            "what": "what",
            "result": one,
            "detail": "found",
            "todo": "mend" if one == "fail" else "",
        }
        for one in results
    ]
    told["cutover"] = {"verdict": "no-go", "still": {}, "checks": checks}
    (_, suite) = parsed(told)
    assert [[child.tag for child in case] for case in suite.iter("testcase")] == [[], [], ["failure"], ["error"]]
    (failure,) = suite.iter("failure")
    assert (failure.get("message"), failure.text) == ("what: found", "found\nto do: mend")


def test_tables_that_only_a_backup_has_are_an_error() -> None:
    told = report("unverified", [entry("s.a", "f", "match")])
    told["restore"] = {"tables_gone": ["s.b"]}
    assert [one.get("message") for one in parsed(told).iter("error")] == ["tables that only the backup has: s.b"]


def test_hostile_text_is_text() -> None:
    hostile = ']]></failure><x a="1"&amp;\x00\x08\x1b[2J\u202e\ud800\ufffe\''
    row = drifted_row("mismatched", {hostile: hostile}, {hostile: (hostile, None)})
    finding = {"object": hostile, "what": hostile, "leader": hostile, "follower": None}
    invariant = {"name": hostile, "verdict": "violated", "violations": 1, "sample": [{hostile: hostile}]}
    told = report(
        "drift",
        [
            entry(f"s.{hostile}", hostile, "drift", rows_drifted=[row], schema=[finding], reason=hostile),
            entry("s.u", hostile, "unverified", reason=hostile),
        ],
        [invariant],
    )
    told["by"] = {"user": hostile, "host": hostile, "trueup": "1", "command": hostile}
    root = parsed(told)
    (failure, _) = root.iter("failure")
    assert ']]></failure><x a="1"&amp;\\x00\\x08\\x1b[2J\\u202e\\ud800\\ufffe\'' in str(failure.text)
