"""What MySQL and MariaDB say, as trueup says it: never a value."""

from __future__ import annotations

import pymysql
import pytest

from connectors.mysql.errors import translate
from verifier.errors import Permanent, Temporary, TrueupError


@pytest.mark.parametrize(
    ("number", "kind", "told"),
    [
        (1644, Permanent, "a routine signalled an error (1644)"),
        (1643, Permanent, "a routine signalled an error (1643)"),
        (30001, Permanent, "a routine signalled an error (30001)"),  # SIGNAL .. SET MYSQL_ERRNO
        (1062, Permanent, "error 1062"),
        (1690, Permanent, "error 1690"),
        (1146, Permanent, "(error 1146)"),
        (1205, Temporary, "a lock was not free"),
    ],
)
def test_a_number_is_always_told(number: int, kind: type[TrueupError], told: str) -> None:
    ours = translate(pymysql.OperationalError(number, "said"), "asking", "here")
    assert type(ours) is kind
    assert told in str(ours)


@pytest.mark.parametrize("number", [1644, 1643, 30001, 1062, 1690])
def test_a_text_that_may_quote_rows_is_not(number: int) -> None:
    assert "4111" not in str(translate(pymysql.OperationalError(number, "card 4111"), "asking", "here"))


def test_a_signal_under_a_number_of_the_server_is_known_by_its_state() -> None:
    told = translate(pymysql.OperationalError(1146, "card 4111", sqlstate="45000"), "asking", "here")
    assert "4111" not in str(told)
    assert "(1146)" in str(told)


def test_a_wrong_path_quotes_what_it_was_made_of() -> None:
    told = str(translate(pymysql.OperationalError(1105, "XPATH syntax error: '~4111'"), "asking", "here"))
    assert "4111" not in told
    other = translate(pymysql.OperationalError(1105, "too many tables"), "asking", "here")
    assert isinstance(other, Temporary)
    assert "too many tables" in str(other)
