"""An audit report in the format that was asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trueup.cli.output import Format, target, write


def write_report(report: dict[str, Any], how: Format, output: Path | None) -> None:
    """To the file, or to standard output. Misconfigured if it cannot be written."""
    from trueup.audit.render import render

    if how is Format.HTML:
        from dashboards.report.html import page

        with target(output) as out:
            out.write(page(report))
    elif how is Format.JUNIT:
        from trueup.audit.junit import junit

        with target(output) as out:
            out.write(junit(report))
    else:
        write(report, how, output, lambda out: render(report, out))
