"""What values may differ by, as it is configured."""

from __future__ import annotations

from pathlib import Path

import pytest

import config
from verifier.errors import Misconfigured
from verifier.tolerance import Tolerance

_TEXT = """\
groups:
  - name: shop
    leader: {url: "postgresql://t@h/shop"}
    followers:
      - {name: copy, url: "mariadb://t@h/shop"}
    tables:
      tolerances: %s
"""


def test_it_is_said_of_all_tables_of_one_or_of_a_column(tmp_path: Path) -> None:
    said = '{"*": {time_digits: 3}, public.t: {strict_scale: true}, public.t.r: {float_relative: 1e-9}}'
    (group,) = config.parse(_TEXT % said, folder=tmp_path).groups
    assert group.tables.tolerated() == {
        "*": Tolerance(time_digits=3),
        "public.t": Tolerance(strict_scale=True),
        "public.t.r": Tolerance(float_relative=1e-9),
    }
    assert group.tables.only_for_audits() == []


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ("{orders: {time_digits: 3}}", "tolerances"),
        ("{public.t: {time_digits: 10}}", "time_digits"),
        ("{public.t: {float_relative: 1}}", "float_relative"),
        ("{public.t: {float_relative: '1e-9'}}", "float_relative"),
        ("{public.t: {ignore_trailing_spaces: 1}}", "ignore_trailing_spaces"),
        ("{public.t: {time_digit: 3}}", "time_digits"),
    ],
)
def test_what_it_cannot_mean_is_refused(tmp_path: Path, said: str, problem: str) -> None:
    with pytest.raises(Misconfigured, match=problem):
        config.parse(_TEXT % said, folder=tmp_path)
