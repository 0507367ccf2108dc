"""The sign-off page: the headline answers, the leader comes first, hostile text stays text, people can sign."""

from __future__ import annotations

from typing import Any

import pytest
from fixtures.reports import entry, report

from dashboards.report.html import page


def line(on: str, result: str, detail: str = "", todo: str = "") -> dict[str, str]:
    return {"id": "x", "on": on, "what": f"what of {on}", "result": result, "detail": detail, "todo": todo}


def told(verdict: str, answer: str, *checks: dict[str, str]) -> str:
    whole: dict[str, Any] = report(verdict, [entry("public.orders", "eu", verdict)])
    still = {"from": "2026-01-01T00:00:00.000Z", "to": "2026-01-01T00:00:01.000Z", "position": "lsn:0/1"}
    whole["cutover"] = {"verdict": answer, "still": still, "checks": list(checks)}
    return page(whole)


@pytest.mark.parametrize(
    ("verdict", "answer", "results", "words"),
    [
        ("match", "go", ("pass", "warning"), "Cutover: go"),
        ("drift", "no-go", ("fail", "fail", "pass"), "Cutover: no-go (2 failed)"),
        ("unverified", "no-go", ("unknown", "pass"), "Cutover: no-go (1 not proven)"),
        ("drift", "no-go", ("fail", "unknown"), "Cutover: no-go (1 failed, 1 not proven)"),
    ],
)
def test_headline(verdict: str, answer: str, results: tuple[str, ...], words: str) -> None:
    html = told(verdict, answer, *(line("eu", one) for one in results))
    assert f"<h1>{words}</h1>" in html
    assert html.count("Carried out by: name") == html.count("Approved by: name") == 1


def test_the_leader_first_and_hostile_text_stays_text() -> None:
    html = told("drift", "no-go", line("leader", "pass"), line("eu", "fail", "<script>x</script>", "do <b>it</b>"))
    assert html.index("what of leader") < html.index("what of eu")
    assert "<script" not in html
    assert "&lt;script&gt;x" in html
    assert "To do: do &lt;b&gt;it" in html


def test_no_cutover_no_page() -> None:
    assert "Carried out by" not in page(report("match", [entry("public.orders", "eu", "match")]))
