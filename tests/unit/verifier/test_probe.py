"""Which forms an engine is not trusted with."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from verifier.canonical import canonical
from verifier.encoding import TEXTS, canonical_hash, encode
from verifier.errors import Permanent
from verifier.probe import CONSTANTS, Probed, distrusted, failing, pair
from verifier.table import Column, Family


def probed(family: Family, value: str | None, *, wrong: bool = False) -> Probed:
    column = Column("c", family, family.value)
    right = canonical_hash(encode(pair(column), {"v": value, "w": value}))
    return Probed(column, value, right ^ 1 if wrong else right)


def test_what_is_hashed_as_the_reference_does_is_trusted() -> None:
    assert failing(probed(family, value) for family, values in CONSTANTS.items() for value in (*values, None)) == set()


def test_one_wrong_constant_is_enough() -> None:
    one = [probed(Family.DATE, "2024-02-29"), probed(Family.DATE, None, wrong=True), probed(Family.INTEGER, "1")]
    assert failing(one) == {Family.DATE}
    assert failing([Probed(Column("c", Family.DATE, "date"), "2024-02-29", None)]) == {Family.DATE}


def test_text_that_fails_takes_all_texts_with_it() -> None:
    assert failing([probed(Family.TEXT, "é", wrong=True)]) == TEXTS
    assert failing([probed(Family.ENUM, "é", wrong=True)]) == {Family.ENUM}


def test_a_constant_that_the_server_refuses_is_found_and_distrusted_alone() -> None:
    columns = [Column("c", family, family.value) for family in (Family.DATE, Family.INET, Family.INTEGER)]
    asked: list[int] = []

    def hashed(some: Sequence[Column]) -> list[Probed]:
        asked.append(len(some))
        if any(column.family is Family.INET for column in some):
            raise Permanent("no such type")
        return [probed(column.family, None, wrong=column.family is Family.DATE) for column in some]

    assert distrusted(columns, hashed) == {Family.DATE, Family.INET}
    assert asked == [3, 1, 1, 1]
    assert distrusted(columns[::2], hashed) == {Family.DATE}
    assert asked == [3, 1, 1, 1, 2]


@pytest.mark.parametrize("family", CONSTANTS)
def test_constants_are_values_that_the_family_can_read(family: Family) -> None:
    forms = [canonical(family, value) for value in CONSTANTS[family]]
    assert len(set(forms)) == len(forms)
