"""What is wrong with a sequence that fills a column, and which defaults take their values from one."""

from __future__ import annotations

import pytest

from connectors.mysql.sequences import Standing, sequence_of
from verifier.table import TableName


def standing(following: int, step: int = 1, *, cycles: bool = False, cached: bool = False) -> Standing:
    return Standing(following, step, -100, 1_000, cycles, cached)


ANY = (None, None)
HELD = "which the column holds already"
RESERVED = "is reserved: a server that is started again or promoted gives none"


@pytest.mark.parametrize(
    ("where", "within", "held", "said"),
    [
        (standing(11), ANY, 10, None),
        (standing(11), ANY, None, None),
        (standing(11), ANY, 11, f"its next value, 11, is not beyond 11, {HELD}"),
        (standing(11, cached=True), ANY, 12, f"its next value, at most 11, is not beyond 12, {HELD}"),
        (standing(11, cycles=True), ANY, 12, None),
        (standing(-6, -5), ANY, -1, None),
        (standing(-6, -5), ANY, -6, f"its next value, -6, is not beyond -6, {HELD}"),
        (standing(-6, -5, cached=True), ANY, -9, f"its next value, at least -6, is not beyond -9, {HELD}"),
        (standing(1_000), ANY, None, None),
        (standing(1_001), ANY, None, "it is used up: the next value would be 1001"),
        (standing(-101, -1), ANY, None, "it is used up: the next value would be -101"),
        # What the column can hold counts, too.
        (standing(128), (-128, 127), None, "it is used up: the next value would be 128"),
        (standing(127), (-128, 127), None, None),
        (standing(-1, -1), (0, 255), None, "it is used up: the next value would be -1"),
        (standing(1_001, cached=True), (-128, 127), None, f"every value to 127 {RESERVED}"),
        (standing(-101, -1, cached=True), ANY, 5, f"every value to -100 {RESERVED}"),
    ],
)
def test_problems(where: Standing, within: tuple[int | None, int | None], held: int | None, said: str | None) -> None:
    assert where.problem(*within, held) == said


@pytest.mark.parametrize(
    ("default", "sequence"),
    [
        ("nextval(`shop`.`s`)", TableName("shop", "s")),
        ("NEXTVAL(`a``b`.`c.d`)", TableName("a`b", "c.d")),
        ("nextval(`shop`.`s`) + 1", None),
        ("lastval(`shop`.`s`)", None),
        ("'nextval(`shop`.`s`)'", None),
        (None, None),
    ],
)
def test_defaults(default: str | None, sequence: TableName | None) -> None:
    assert sequence_of(default) == sequence


def test_what_it_gives_in_words() -> None:
    assert standing(1).text == "by 1 from -100 to 1000"
    assert standing(1, -2, cycles=True).text == "by -2 from -100 to 1000 and again"
