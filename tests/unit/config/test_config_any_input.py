"""Whatever stands in the file, it loads or is refused with places in the file: never an exception, never a secret."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import config
from config.document import read
from config.load import _parsed
from verifier.errors import Misconfigured

EXAMPLE = config.example()
PLAIN: Any = read(EXAMPLE, "example.yaml").value
ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["5s", "off", "env:A"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


def paths(value: object, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield at
    steps: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in steps:
        yield from paths(inner, (*at, step))


PATHS = [path for path in paths(PLAIN) if path]


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(PATHS), ODD, st.booleans())
def test_any_value_anywhere(path: tuple[str | int, ...], odd: object, beside: bool) -> None:
    """One value replaced by anything, or anything put beside it under a new key."""
    document = copy.deepcopy(PLAIN)
    place: Any = document
    for step in path[:-1]:
        place = place[step]
    if beside and isinstance(place, dict):
        place[f"{path[-1]}x"] = odd
    else:
        place[path[-1]] = odd
    judge(yaml.safe_dump(document, allow_unicode=True))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, len(EXAMPLE)), st.integers(0, 200), st.text(max_size=5))
def test_any_damage_to_the_text(start: int, length: int, inserted: str) -> None:
    judge(EXAMPLE[:start] + inserted + EXAMPLE[start + length :])


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=60))
def test_any_text(text: str) -> None:
    judge(text)


def judge(text: str) -> None:
    document = read(text, "trueup.yaml")
    settings, problems = _parsed(document, Path("/folder"), {})
    assert (settings is None) == bool(problems)
    lines = len(text.splitlines()) + 1
    for problem in problems:
        assert 1 <= problem.line <= lines
        assert problem.column >= 1
        assert "\n" not in problem.message
    if settings is None:
        with pytest.raises(Misconfigured):
            config.parse(text)
    else:
        assert config.parse(config.show(settings), folder=Path("/elsewhere")) == settings
