"""The HTML report: every fact of the data, hostile values harmless, and verdicts that cannot be confused."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import pytest
from fixtures.reports import drifted_row, entry, report

from dashboards.report.chunkmap import STEP, Box, chunk_map
from dashboards.report.html import page
from dashboards.report.values import pair, plain, single
from dashboards.report.words import POSITIONS


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
    rows = shown[: shown.index("Reading this report")]
    assert rows.count('<span class="none null">NULL</span>') == 2  # the missing row's NULL is the leader's alone
    assert rows.count('<span class="none empty">') == 1
    assert rows.count('<span class="absent">f has no such row</span>') == 1


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
    assert "40 of 1\N{NARROW NO-BREAK SPACE}234 rows are listed here" in " ".join("".join(reader.words).split(" "))
    assert "trueup drift --run 0123456789ab --table s.t" in reader.text
    assert reader.text.count("0/3A41C90") == 40


def test_every_position_is_explained() -> None:
    """Those that the rules of evidence, a drill and a row's after-images name."""
    names = ("leader", "follower_low", "follower_high", "leader_again", "follower_again", "stream", "state", "recorded")
    row = drifted_row("mismatched", {"id": 1}, {"a": ("1", "2")}) | {"positions": dict.fromkeys(names, "0/5")}
    text = Reader(page(report("drift", [entry("s.t", "f", "drift", rows_drifted=[row])]))).text
    told = text[text.index("Reading this report") :]
    assert [name for name in names if name.replace("_", " ") not in told or POSITIONS[name] not in told] == []


def test_a_drifted_row_says_why_it_drifted_where_that_is_known() -> None:
    row = drifted_row("mismatched", {"id": 1}, {"a": ("1", "2")})
    told = entry("s.t", "f", "drift", rows_drifted=[{**row, "cause": "lost", "since": "lsn:0/77"}, row])
    text = Reader(page(report("drift", [told]))).text
    assert text.count("proven · bracketed lost") == 1
    assert "since lsn:0/77" in text
    assert "losta change of the leader never took effect on the follower." in text
    silent = Reader(page(report("drift", [entry("s.t", "f", "drift", rows_drifted=[row])]))).text
    assert "never took effect" not in silent


def test_an_unfinished_run_says_how_to_go_on() -> None:
    unfinished: dict[str, Any] = report("unverified", [entry("s.t", "f", "unverified", reason="stopped")])
    unfinished["finished_at"] = None
    text = Reader(page(unfinished)).text
    assert "This run did not come to its end" in text
    assert "--resume 0123456789ab" in text


def test_the_chunk_map_shows_the_worst_of_each_cell() -> None:
    drawn = chunk_map([["match", 5_000], ["drift", 1], ["match", 4_000], ["unverified", 2], ["match", 997]])
    assert drawn.chunks_per_cell == 15
    assert [(one.standing, one.title) for one in drawn.stretches] == [
        ("match", "chunks 1 to 4,995: equal"),
        ("drift", "chunks 4,996 to 5,010: drift"),
        ("match", "chunks 5,011 to 9,000: equal"),
        ("unverified", "chunks 9,001 to 9,015: unverified"),
        ("match", "chunks 9,016 to 10,000: equal"),
    ]
    assert drawn.words == "chunk 5,001 drift; chunks 9,002 to 9,003 unverified"


def test_a_small_chunk_map_has_a_cell_for_each() -> None:
    drawn = chunk_map([["match", 2], ["in_flight", 1], ["unread", 1]])
    assert [(one.standing, one.title, one.boxes) for one in drawn.stretches] == [
        ("match", "chunks 1 to 2: equal", (Box(0, 0, 24, 12),)),
        ("in_flight", "chunk 3: in flight", (Box(24, 0, 12, 12),)),
        ("unread", "chunk 4: not read", (Box(36, 0, 12, 12),)),
    ]
    assert (drawn.width, drawn.height, chunk_map([]).stretches) == (48, 12, ())


@pytest.mark.parametrize("total", [1, 87, 88, 89, 176, 300, 704, 705, 99_999])
def test_the_cells_of_a_chunk_map_are_drawn_once_each(total: int) -> None:
    runs = [["match", total // 3], ["drift", 1], ["match", total]]
    drawn = chunk_map([run for run in runs if run[1]])
    cells = [
        (x, y)
        for stretch in drawn.stretches
        for box in stretch.boxes
        for y in range(box.y, box.y + box.height, STEP)
        for x in range(box.x, box.x + box.width, STEP)
    ]
    count = -(-sum(int(n) for _, n in runs) // drawn.chunks_per_cell)
    assert sorted(cells, key=lambda one: (one[1], one[0])) == cells
    assert len(set(cells)) == len(cells) == count
    assert max(x for x, _ in cells) + STEP == drawn.width
    assert max(y for _, y in cells) + STEP == drawn.height


def test_many_places_in_a_chunk_map_are_told_shortly() -> None:
    drawn = chunk_map([["match", 1], ["drift", 1]] * 500)
    assert drawn.words.endswith("; chunk 24 drift; and 488 more places")


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


def test_it_is_told_how_a_table_was_read_and_what_was_left_out() -> None:
    told = entry(
        "s.t", "f", "match", scheme="canonical", scheme_why="postgresql and mysql have no native hash in common",
        key=["id"], columns_compared=4, where="id < 7 and note <> '<b>'", table_on_follower="crm.t",
        renamed_columns={"mail": "email"}, excluded_columns=["at"], excluded_why={"at": "excluded by name"},
        remarks=["on the leader it is a view"], tolerances={"seen": "equal less than 1 s apart"},
    )  # fmt: skip
    text = Reader(page(report("match", [told]))).text
    for words in (
        "canonical: each server writes the same canonical text", "postgresql and mysql have no native hash in common",
        "id < 7 and note <> '<b>'", "crm.t", "mail is email", "at: excluded by name", "on the leader it is a view",
        "column at was not compared", "column mail is email on f", "seen: equal less than 1 s apart",
        "column seen was compared with a tolerance",
    ):  # fmt: skip
        assert words in text, words
    assert "Nothing: no column was left out" in Reader(page(report("match", [entry("s.t", "f", "match")]))).text


def test_who_ran_it_and_what_to_run_next() -> None:
    row = drifted_row("mismatched", {"id": 1}, {"a": ("1", "2")})
    told = report("drift", [entry("s.t", "f", "drift", rows_drifted=[row])])
    command = "trueup audit --leader 'postgresql://a@h/d x' --follower=eu=postgresql://b@h/d --table 's.*'"
    told["by"] = {"user": "ada", "host": "ops", "trueup": "1.2.3", "command": command}
    text = Reader(page(told)).text
    assert "ada on ops, trueup 1.2.3" in text
    servers = "--leader 'postgresql://a@h/d x' --follower=eu=postgresql://b@h/d"
    assert f"trueup recheck {servers} --run 0123456789ab" in text
    assert "trueup drift --journal trueup.db --run 0123456789ab" in text


def test_a_cutover_has_its_checklist_with_a_place_to_sign() -> None:
    told = report("match", [entry("s.t", "f", "match")])
    check = {"id": "x", "on": "f", "what": "sequences", "result": "fail", "detail": "<b>7</b>", "todo": "set it"}
    still = {"from": "2026-01-01T00:00:00.000Z", "to": "2026-01-01T00:01:00.000Z", "position": "0/5"}
    told["cutover"] = {"verdict": "no-go", "still": still, "checks": [check]}
    text = Reader(page(told)).text
    assert "no-go" in text
    assert "<b>7</b>To do: set it" in text
    assert "Approved by" in text


def test_a_table_without_key_says_what_its_counts_mean() -> None:
    positions = {"leader": "lsn:0/9", "follower_high": "lsn:0/8"}
    counted = {"exact": False, "evidence": "probable", "method": "repeated", "positions": positions}
    drift = {"missing": 2, "extra": 1, "mismatched": 0}
    text = Reader(page(report("drift", [entry("s.t", "f", "drift", multiset=counted, drift=drift)]))).text
    assert "2 at least are on the leader alone, 1 on f alone" in text
    assert re.search(r"leader\s*lsn:0/9\s*follower high\s*lsn:0/8", text), "the evidence has its positions"


def test_a_page_of_very_many_rows_stays_small_and_every_table_shows_some() -> None:
    row = drifted_row("mismatched", {"id": 1}, {"a": ("1", "2")})
    tables = [entry(f"s.t{i}", "f", "drift", rows_drifted=[row] * 1_000, drift={"missing": 0, "extra": 0,
              "mismatched": 1_000}) for i in range(10)]  # fmt: skip
    shown = page(report("drift", tables))
    assert shown.count("<article") == 3_000
    sections = shown.split('<section class="table')[1:]
    assert [section.count("<article") for section in sections[-2:]] == [25, 25]
    assert "The JSON report lists 1" in sections[-1]


def test_the_gravest_tables_come_first_and_many_equal_ones_fold_away() -> None:
    tables = [entry(f"s.t{i}", "f", "match") for i in range(100)]
    tables[70] = entry("s.doubt", "f", "unverified", reason="no key")
    tables[80] = entry("s.bad", "f", "drift")
    shown = page(report("drift", tables))
    assert re.findall(r'href="#(t\d+)"', shown)[:2] == ["t81", "t71"]
    assert "98 more tables, all equal</summary>" in shown
    assert sorted(re.findall(r'href="#(t\d+)"', shown)) == sorted(re.findall(r' id="(t\d+)"', shown))


def test_tables_have_headers_and_headings_follow_each_other() -> None:
    row = drifted_row("missing", {"id": 1}, {"a": ("1", None)})
    finding = {"object": "a", "what": "type", "leader": "int", "follower": None}
    shown = page(report("drift", [entry("s.t", "f", "drift", rows_drifted=[row], schema=[finding])]))
    assert shown.count("<thead>") == shown.count("<table")
    assert not re.findall(r"<th(?! scope=|ead)", shown)
    levels = [int(level) for level in re.findall(r"<h(\d)", shown)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_nothing_is_fetched_and_nothing_runs() -> None:
    shown = page(report("match", [entry("s.t", "f", "match")]))
    assert not re.findall(r"""(?:src|href)=["'](?!#)|@import|url\((?!#)""", shown)
    assert "<script" not in shown


def test_very_many_equal_tables_are_listed_and_not_drawn() -> None:
    shown = page(report("match", [entry(f"s.t{i}", "f", "match") for i in range(400)]))
    assert shown.count('<tr class="match" id="t') == 400
    assert 'href="#t' not in shown
    assert shown.count('<figure class="chunks">') == 0
