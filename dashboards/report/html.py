"""The audit report as one HTML file, by Jinja2."""

from __future__ import annotations

import html
import json
from typing import Any


def page(report: dict[str, Any]) -> str:
    """One self-contained page of the report (version 1 of the JSON contract)."""
    return "<pre>" + html.escape(json.dumps(report, indent=2)) + "</pre>"
