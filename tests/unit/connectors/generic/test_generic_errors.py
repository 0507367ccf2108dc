"""Errors of unknown drivers: what SQL raises itself is not told, whatever it was that raised it."""

from __future__ import annotations

import pytest
import sqlalchemy.exc

from connectors.generic.errors import translate, translated
from verifier.errors import Permanent


@pytest.mark.parametrize(
    "said",
    [
        "ORA-20001: card 4111",
        "(50000, b'card 4111DB-Lib error message 20018')",
        "[IBM][CLI Driver] card 4111 SQLSTATE=45000",
        "Invalid Input Error: card 4111",
    ],
)
def test_what_a_routine_raised_is_not_told(said: str) -> None:
    for kind in (sqlalchemy.exc.OperationalError, sqlalchemy.exc.ProgrammingError, sqlalchemy.exc.InternalError):
        told = translate(kind("select f(v) from t", None, Exception(said)), "asking on here")
        assert type(told) is Permanent
        assert "4111" not in str(told)
        assert "raised an error" in str(told)


def test_other_errors_are_told() -> None:
    told = translate(
        sqlalchemy.exc.ProgrammingError("x", None, Exception("ORA-00942: table or view does not exist")), "asking on it"
    )
    assert str(told) == "asking on it: ORA-00942: table or view does not exist"


def test_duckdb_tells_no_text_of_error() -> None:
    pytest.importorskip("duckdb_engine")
    engine = sqlalchemy.create_engine("duckdb:///:memory:")
    with (
        engine.connect() as connection,
        pytest.raises(Permanent, match="raised an error") as caught,
        translated("asking", "here"),
    ):
        connection.exec_driver_sql("select error('card ' || v) from (values ('4111')) t(v)")
    engine.dispose()
    assert "4111" not in str(caught.value)
