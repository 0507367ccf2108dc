"""An audit report in the format that was asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TextIO

from trueup.cli.output import Format, target, write
from verifier.errors import Misconfigured


def write_report(report: dict[str, Any], how: Format, output: Path | None) -> None:
    """To the file, or to standard output. Misconfigured if it cannot be written, with where it is kept."""
    try:
        _write(report, how, output)
    except Misconfigured as problem:
        kept = f"trueup runs {report['run']} --format {how.value} --output FILE"
        raise Misconfigured(f"{problem}; the run is in the journal: {kept}") from problem


def _write(report: dict[str, Any], how: Format, output: Path | None) -> None:
    if how is Format.HTML:
        from dashboards.report.html import page

        with target(output) as out:
            out.write(page(report))
    elif how is Format.JUNIT:
        from trueup.audit.junit import junit

        with target(output) as out:
            out.write(junit(report))
    else:
        write(report, how, output, lambda out: _render(report, out))


def _render(report: dict[str, Any], out: TextIO) -> None:
    from trueup.audit.render import render  # it takes a tenth of an audit's start, and JSON needs nothing of it

    render(report, out)
