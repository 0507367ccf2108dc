"""The HTML report as a browser shows it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from fixtures.missing import missing
from fixtures.reports import drifted_row, entry, report

from dashboards.report.html import page

pytestmark = [pytest.mark.chromium]

QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
HOSTILE = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"


def browser() -> str:
    return shutil.which("chromium") or missing("chromium is not installed", "apt-get install chromium")


def test_a_hostile_report_renders_whole_and_runs_nothing(tmp_path: Path) -> None:
    rows = [drifted_row("mismatched", {"id": HOSTILE}, {HOSTILE: (HOSTILE, None)}) for _ in range(30)]
    told = entry("public.orders", HOSTILE, "drift", rows_drifted=rows, reason=HOSTILE)
    file = tmp_path / "report.html"
    file.write_text(page(report("drift", [told, entry("public.items", "f", "unverified", reason="no key")])))
    picture = tmp_path / "report.png"
    done = subprocess.run(
        [
            browser(), *QUIET, f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1240,1600",
            f"--screenshot={picture}", "--dump-dom", file.as_uri(),
        ],
        capture_output=True, text=True, timeout=90, check=True,
    )  # fmt: skip
    dom = done.stdout
    assert re.search(r"<title>Drift found", dom)
    assert "owned</title>" not in dom
    assert dom.count("<article") == 30
    assert "<script" not in dom
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size > 30_000  # an empty page is a tenth of that
