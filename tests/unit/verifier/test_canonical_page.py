"""The examples of `docs/canonical.md` are what the code does, and no family is missing there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from verifier.canonical import canonical
from verifier.encoding import field
from verifier.table import Family

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "canonical.md").read_text()
EXAMPLES = re.findall(r"^\| (\w+) \| .* \| `(.*?)` \| `(.*?)` \| `(.*?)` \|$", PAGE, re.MULTILINE)


def test_every_family_has_its_line() -> None:
    assert [family for family, *_ in EXAMPLES] == [family for family in dict.fromkeys(name for name, *_ in EXAMPLES)]
    assert {family for family, *_ in EXAMPLES} == {family.value for family in Family}


@pytest.mark.parametrize(("family", "value", "text", "written"), EXAMPLES, ids=[family for family, *_ in EXAMPLES])
def test_the_examples_are_true(family: str, value: str, text: str, written: str) -> None:
    assert canonical(Family(family), value) == text
    assert field(Family(family), value) == written
