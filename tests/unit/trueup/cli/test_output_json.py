"""Results as JSON: the same value read back, one line per row of a report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fixtures.reports import report as report_of
from hypothesis import given
from hypothesis import strategies as st

from trueup.cli.output import Format, _lines, write
from trueup.cli.reports import write_report
from verifier.errors import Misconfigured

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=20,
)


@given(values, st.integers(0, 6))
def test_what_is_written_is_read_back(value: Any, levels: int) -> None:
    assert json.loads("".join(_lines(value, levels, ""))) == value


def test_a_row_of_a_report_has_one_line(tmp_path: Path) -> None:
    rows = [{"key": {"id": n}, "columns": {"größe": {"leader": "1", "follower": None}}} for n in range(3)]
    report = {"verdict": "drift", "tables": [{"table": "public.t", "schema": [], "rows_drifted": rows}]}
    written = tmp_path / "report.json"
    write(report, Format.JSON, written, lambda out: None)
    lines = written.read_text(encoding="utf-8").splitlines()
    assert lines[:3] == ["{", '  "verdict": "drift",', '  "tables": [']
    assert lines[7] == '        {"key": {"id": 0}, "columns": {"größe": {"leader": "1", "follower": null}}},'
    assert lines[-4:] == ["      ]", "    }", "  ]", "}"]
    assert json.loads("\n".join(lines)) == report


@pytest.mark.parametrize("how", [Format.HTML, Format.JUNIT, Format.JSON])
def test_a_report_that_cannot_be_written_is_kept_and_said_to_be(tmp_path: Path, how: Format) -> None:
    """As on a disk that became full meanwhile."""
    (tmp_path / "taken").mkdir()
    said = f"the run is in the journal: trueup runs 0123456789ab --format {how.value}"
    with pytest.raises(Misconfigured, match=said):
        write_report(report_of("drift", []), how, tmp_path / "taken")
