"""The HTML report: every fact of the data, hostile values harmless, and verdicts that cannot be confused."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from fixtures.reports import drifted_row, entry, report

from dashboards.report.chunkmap import chunk_map
from dashboards.report.html import page
from dashboards.report.values import pair, plain, single


class Reader(HTMLParser):
    """The page as text, and the elements in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        assert not [name for name, _ in attrs if name.startswith("on") or name in ("src",)], attrs

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())


@pytest.mark.parametrize(
    ("verdict", "headline"),
    [
        ("match", "Every follower equals its leader"),
        ("drift", "Drift found"),
        ("unverified", "Not everything could be verified"),
    ],
)
def test_the_verdict_is_the_headline(verdict: str, headline: str) -> None:
    shown = page(report(verdict, [entry("s.t", "f", verdict)]))
    assert re.findall(r"<h1>(.*?)</h1>", shown) == [headline]
    assert f'<body class="{verdict}">' in shown


def test_hostile_values_stay_text() -> None:
    hostile = "</td></style><script>alert(1)</script><img src=x onerror=alert(1)>"
    row = drifted_row("mismatched", {hostile: hostile}, {hostile: (hostile, "x")})
    shown = page(
        report(
            "drift",
            [entry(hostile, hostile, "drift", reason=hostile, excluded_columns=[hostile], rows_drifted=[row])],
            invariants=[
                {
                    "name": hostile,
                    "verdict": "violated",
                    "violations": 1,
                    "sample": [{hostile: hostile}],
                    "reason": hostile,
                }
            ],
        )
    )
    reader = Reader(shown)
    assert {"script", "img"}.isdisjoint(reader.elements)
    assert reader.elements.count("style") == 1
    assert "default-src 'none'" in shown


def test_null_empty_and_absent_are_three_things() -> None:
    null, empty = pair(None, "")
    assert (null.state, empty.state) == ("null", "empty")
    shown = page(report("drift", [entry("s.t", "f", "drift", rows_drifted=[
        drifted_row("mismatched", {"id": 1}, {"a": (None, "")}),
        drifted_row("missing", {"id": 2}, {"b": (None, None)}),
    ])]))  # fmt: skip
    assert shown.count('<span class="none null">NULL</span>') == 2  # the missing row's NULL is the leader's alone
    assert shown.count('<span class="none empty">') == 1
    assert shown.count('<span class="none absent">no such row</span>') == 1


def test_differing_characters_are_marked_on_both_sides() -> None:
    ours, theirs = pair("total 1200.00", "total 1250.00")
    assert [piece.text for piece in ours.pieces if piece.changed] == ["0"]
    assert [piece.text for piece in theirs.pieces if piece.changed] == ["5"]
    assert "".join(piece.text for piece in ours.pieces) == "total 1200.00"


@pytest.mark.parametrize(
    ("ours", "theirs", "first", "second"),
    [
        ("a ", "a", "a·", "a"),
        ("a  b", "a b", "a··b", "a b"),
        ("a\tb", "a\nb", "a→b", "a↵\nb"),
        ("é", "e\u0301", "é", "e⟨U+0301⟩"),
        ("a\u00a0b", "a b", "a⟨U+00A0⟩b", "a b"),
        ("x\u200b", "x", "x⟨U+200B⟩", "x"),
        ("\u202edrow", "drow", "⟨U+202E⟩drow", "drow"),
    ],
)
def test_what_cannot_be_seen_is_spelled(ours: str, theirs: str, first: str, second: str) -> None:
    left, right = pair(ours, theirs)
    assert ("".join(p.text for p in left.pieces), "".join(p.text for p in right.pieces)) == (first, second)


def test_letters_that_look_alike_tell_their_code_points() -> None:
    latin, cyrillic = pair("pay", "p\u0430y")
    assert [p.points for p in cyrillic.pieces if p.changed] == ["U+0430"]
    assert [p.points for p in latin.pieces if p.changed] == [""]


def test_a_long_value_is_cut_around_its_first_difference() -> None:
    ours = "x" * 5_000 + "A" + "y" * 5_000
    left, right = pair(ours, ours.replace("A", "B"))
    excerpt = "".join(piece.text for piece in left.pieces)
    assert len(excerpt) < 250
    assert [p.text for p in left.pieces if p.changed] == ["A"]
    assert [p.text for p in right.pieces if p.changed] == ["B"]
    assert (left.length, "".join(piece.text for piece in left.rest)) == (10_001, ours)


def test_a_huge_value_keeps_the_page_small() -> None:
    ours = "x" * 2_000_000
    shown = page(report("drift", [entry("s.t", "f", "drift", rows_drifted=[
        drifted_row("mismatched", {"id": 1}, {"a": (ours, ours + "y")})
    ])]))  # fmt: skip
    assert len(shown) < 100_000


def test_every_drifted_row_has_its_evidence_and_a_truncated_list_says_so() -> None:
    rows = [drifted_row("mismatched", {"id": i}, {"a": ("1", "2")}) for i in range(40)]
    told = entry(
        "s.t", "f", "drift", drift={"missing": 0, "extra": 0, "mismatched": 1234}, truncated=True, rows_drifted=rows
    )
    reader = Reader(page(report("drift", [told])))
    assert reader.elements.count("article") == 40
    assert reader.text.count("proven · bracketed") == 40
    assert "40 of 1\N{NARROW NO-BREAK SPACE}234 rows are listed" in " ".join("".join(reader.words).split(" "))
    assert reader.text.count("0/3A41C90") == 40


def test_an_unfinished_run_says_how_to_go_on() -> None:
    unfinished: dict[str, Any] = report("unverified", [entry("s.t", "f", "unverified", reason="stopped")])
    unfinished["finished_at"] = None
    text = Reader(page(unfinished)).text
    assert "This run did not come to its end" in text
    assert "--resume 0123456789ab" in text


def test_the_chunk_map_shows_the_worst_of_each_cell() -> None:
    drawn = chunk_map([["match", 5_000], ["drift", 1], ["match", 4_000], ["unverified", 2], ["match", 997]])
    standings = [cell.standing for cell in drawn.cells]
    assert drawn.chunks_per_cell == 21
    assert standings.count("drift") == 1
    assert 1 <= standings.count("unverified") <= 2
    assert drawn.cells[5_000 // 21].standing == "drift"


def test_a_small_chunk_map_has_a_cell_for_each() -> None:
    drawn = chunk_map([["match", 2], ["in_flight", 1], ["unread", 1]])
    assert [c.standing for c in drawn.cells] == ["match", "match", "in_flight", "unread"]
    assert drawn.cells[2].title == "chunk 3: in flight"
    assert chunk_map([]).cells == ()


def test_labels_are_one_line_of_visible_text() -> None:
    assert plain("a\u202eb") == "a⟨U+202E⟩b"
    assert plain(None) == "NULL"
    assert single("masked:0011").state == "masked"


def test_equal_tables_share_a_section_and_every_link_leads_somewhere() -> None:
    tables = [entry(f"s.t{i}", "f", "match") for i in range(5)]
    tables.insert(2, entry("s.bad", "f", "unverified", reason="no key"))
    tables.append(entry("s.less", "f", "match", excluded_columns=["note"]))
    shown = page(report("unverified", tables))
    assert sorted(re.findall(r'href="#(t\d+)"', shown)) == sorted(re.findall(r' id="(t\d+)"', shown))
    assert shown.count('<section class="table') == 3
    assert "The other tables are equal throughout" in shown
