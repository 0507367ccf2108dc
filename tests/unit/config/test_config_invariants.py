"""Every way in which an invariant can be written wrongly is refused, at its line; what is right says what it means."""

from __future__ import annotations

from pathlib import Path

import pytest

import config
from config.invariant import EqualByKey, NonNegative, Violations
from verifier.errors import Misconfigured

GROUP = """\
groups:
  - name: shop
    leader: {url: postgresql://t@h/shop}
    followers:
      - {name: standby, url: postgresql://t@h2/shop}
      - {name: subscriber, url: postgresql://t@h3/shop}
    invariants:
      - %s
"""
SIDE = "{endpoint: leader, sql: select 1}"
VIOLATIONS = "name: a, kind: violations, endpoint: leader"
STOCK = "name: a, kind: non_negative, endpoint: leader, table: public.stock"


def told(tmp_path: Path, text: str) -> list[str]:
    file = tmp_path / "trueup.yaml"
    file.write_text(GROUP % text, encoding="utf-8")
    return [str(problem).removeprefix(f"{file}:") for problem in config.check(file)]


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("{name: a}", ["8:9: groups[0].invariants[0]: needs 'kind': equal_by_key, violations or non_negative"]),
        (f"{{{VIOLATIONS}}}", ["8:9: groups[0].invariants[0].sql: is required"]),
        (
            f"{{{VIOLATIONS}, sql: drop table x}}",
            ["8:60: groups[0].invariants[0].sql: must be one SELECT (or WITH, VALUES, TABLE): invariants only read"],
        ),
        (
            f"{{{VIOLATIONS}, sql: select 1, key: id}}",
            ["8:75: groups[0].invariants[0].key: must be a list"],
        ),
        (
            f"{{{VIOLATIONS}, sql: select 1, grace: 5}}",
            ["8:77: groups[0].invariants[0].grace: 5 has no unit: write '5s', '5ms' or '5m'"],
        ),
        (
            f"{{{VIOLATIONS}, sql: select 1, sample: 0}}",
            ["8:78: groups[0].invariants[0].sample: must be greater than or equal to 1"],
        ),
        (
            f"{{{VIOLATIONS}, sql: select 1, every: 0s}}",
            ["8:77: groups[0].invariants[0].every: must be longer than nothing"],
        ),
        (
            f"{{name: a, kind: equal_by_key, left: {SIDE}}}",
            ["8:9: groups[0].invariants[0].right: is required"],
        ),
        (
            f"{{name: a, kind: equal_by_key, left: {SIDE}, right: {{endpoint: stanby, sql: select 1}}}}",
            [
                "8:98: groups[0].invariants[0].right.endpoint: no database of this group is called 'stanby', did you "
                "mean 'standby'?"
            ],
        ),
        (
            f"{{name: a, kind: equal_by_key, left: {SIDE}, right: {{endpoint: leader, sql: update x}}}}",
            [
                "8:111: groups[0].invariants[0].right.sql: must be one SELECT (or WITH, VALUES, TABLE): invariants "
                "only read"
            ],
        ),
        (f"{{{STOCK}, key: [sku]}}", ["8:9: groups[0].invariants[0].columns: is required"]),
        (f"{{{STOCK}, columns: [n]}}", ["8:9: groups[0].invariants[0].key: is required"]),
        (f"{{{STOCK}, columns: [], key: [sku]}}", ["8:87: groups[0].invariants[0].columns: needs at least one"]),
        (
            "{name: a, kind: non_negative, endpoint: leader, table: stock, columns: [n], key: [sku]}",
            ["8:64: groups[0].invariants[0].table: must be 'schema.table'"],
        ),
        (
            f"{{{STOCK}, columns: [n], key: [sku]}}\n      - {{{VIOLATIONS}, sql: select 1}}",
            ["9:16: groups[0].invariants[1].name: 'a' already names invariant 0"],
        ),
    ],
)
def test_what_is_refused_and_where(tmp_path: Path, text: str, refused: list[str]) -> None:
    assert told(tmp_path, text) == refused
    with pytest.raises(Misconfigured):
        config.load(tmp_path / "trueup.yaml")


def test_two_followers_may_be_compared_and_defaults_are_told(tmp_path: Path) -> None:
    text = (
        "{name: a, kind: equal_by_key, left: {endpoint: standby, sql: 'select 1, 2;'}, "
        "right: {endpoint: subscriber, sql: select 1}}\n"
        f"      - {{{VIOLATIONS.replace('name: a', 'name: b')}, sql: select 1, key: [id], grace: 5s, sample: 3}}\n"
        f"      - {{{STOCK.replace('name: a', 'name: c')}, columns: [n], key: [sku]}}"
    )
    assert told(tmp_path, text) == []
    books, rows, stock = config.load(tmp_path / "trueup.yaml").groups[0].invariants
    assert isinstance(books, EqualByKey)
    assert isinstance(rows, Violations)
    assert isinstance(stock, NonNegative)
    assert (books.left.sql, books.grace, books.every, books.sample) == ("select 1, 2", 0.0, 60.0, 10)
    assert (rows.key, rows.grace, rows.sample) == (("id",), 5.0, 3)
    assert (stock.table, stock.columns, stock.key) == ("public.stock", ("n",), ("sku",))
