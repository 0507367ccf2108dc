"""The JSON Schema of the configuration, for editors; `config.generate` keeps the committed copy current."""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from config.model import Model
from config.settings import Settings
from config.units import DURATION, duration

FILE = Path(__file__).with_name("trueup.schema.json")


def schema() -> dict[str, object]:
    """JSON Schema 2020-12 of `trueup.yaml`."""
    found = Settings.model_json_schema()
    models = {model.__name__: model for model in _models(Model)}
    _describe(found, Settings)
    for name, node in found["$defs"].items():
        if name in models:
            _describe(node, models[name])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **_with_units(found),
        "title": "trueup configuration",
    }


def _models(model: type[Model]) -> Iterator[type[Model]]:
    for one in model.__subclasses__():
        yield one
        yield from _models(one)


def _describe(node: dict[str, Any], model: type[Model]) -> None:
    """Put the text below each field into its node, unless it is what the model that it refers to says of itself."""
    held = next((one for one in node.get("anyOf", ()) if "properties" in one), node)["properties"]
    for base in model.__mro__:
        if not issubclass(base, Model) or base is Model:
            continue
        for name, meaning in _meanings(base).items():
            if held[name].get("$ref", "").rpartition("/")[2] not in _saying(meaning):
                held[name].setdefault("description", meaning)


def _saying(meaning: str) -> set[str]:
    return {model.__name__ for model in _models(Model) if inspect.cleandoc(model.__doc__ or "") == meaning}


def _meanings(model: type[Model]) -> Mapping[str, str]:
    """By field, what stands below it."""
    (of_class,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    assert isinstance(of_class, ast.ClassDef)
    found: dict[str, str] = {}
    for field, text in pairwise(of_class.body):
        if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
            continue
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant) and isinstance(text.value.value, str):
            found[field.target.id] = inspect.cleandoc(text.value.value)
    return found


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
