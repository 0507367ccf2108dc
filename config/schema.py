"""The JSON Schema of the configuration, for editors; `config.generate` keeps the committed copy current."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from config.settings import Settings
from config.units import DURATION, duration

FILE = Path(__file__).with_name("trueup.schema.json")


def schema() -> dict[str, object]:
    """JSON Schema 2020-12 of `trueup.yaml`."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **_with_units(Settings.model_json_schema()),
        "title": "trueup configuration",
    }


def _with_units(node: Any) -> Any:
    """Defaults of durations as text: the models hold seconds, the file never does."""
    if isinstance(node, list):
        return [_with_units(item) for item in node]
    if not isinstance(node, dict):
        return node
    result = {key: _with_units(value) for key, value in node.items()}
    if result.get("pattern") == DURATION and isinstance(result.get("default"), float):
        result["default"] = duration(result["default"])
    elif "$ref" in result and "default" in result:
        del result["default"]  # a section whose every field has a default of its own
    return result


def text() -> str:
    """The committed copy's contents."""
    return json.dumps(schema(), indent=2, sort_keys=True) + "\n"
