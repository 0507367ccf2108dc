"""PostgreSQL's pure parts: log positions at page borders, ids that wrap, types to cast to, error classes."""

from __future__ import annotations

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import errors

from connectors.postgres.errors import translate
from connectors.postgres.expressions import cast_type
from connectors.postgres.positions import LogGeometry
from connectors.postgres.reading import beyond_one_value
from connectors.postgres.replica import next_xid
from connectors.postgres.session import Sessions
from verifier.errors import Forbidden, Misconfigured, Permanent, Temporary, TrueupError, Unreachable
from verifier.position import Lsn
from verifier.table import Column, Family

SHAPE = LogGeometry(page=8192, segment=16 * 2**20)


@pytest.mark.parametrize(
    ("inserted", "ended"),
    [
        ("0/3002018", "0/3002000"),  # behind a page header of 24 bytes
        ("0/4000028", "0/4000000"),  # behind a file header of 40 bytes
        ("0/3002020", "0/3002020"),
        ("0/3002028", "0/3002028"),  # 40 bytes into a page that does not begin a file
        ("2/0", "2/0"),
    ],
)
def test_a_position_behind_a_header_is_where_the_last_record_ended(inserted: str, ended: str) -> None:
    assert SHAPE.end_of_record(inserted) == Lsn.parse(ended)


@given(st.integers(3, 2**40), st.integers(0, 2**20))
def test_the_next_id_is_found_across_wraparound(xmax: int, ahead: int) -> None:
    upcoming = xmax + ahead
    age = (upcoming - 3) & 0xFFFFFFFF
    signed = age - 2**32 if age >= 2**31 else age  # the server answers with 32 signed bits
    assert next_xid(xmax, signed) == upcoming


@pytest.mark.parametrize(
    ("family", "declared", "cast"),
    [
        (Family.INTEGER, "integer", "bigint"),
        (Family.DECIMAL, "numeric(12,2)", "numeric"),
        (Family.CHAR, "character(3)", "bpchar"),
        (Family.TEXT, "character varying(20)", "character varying"),
        (Family.TIMESTAMP, "timestamp(3) without time zone", "timestamp without time zone"),
        (Family.ENUM, 'public."we(1)rd"', 'public."we(1)rd"'),
        (Family.OTHER, "bit(3)", "bit(3)"),
    ],
)
def test_keys_are_cast_without_a_modifier(family: Family, declared: str, cast: str) -> None:
    assert cast_type(Column("k", family, declared)) == cast


@pytest.mark.parametrize(
    ("error", "ours"),
    [
        (errors.InsufficientPrivilege("x"), Forbidden),
        (errors.InvalidPassword("x"), Forbidden),
        (errors.QueryCanceled("x"), Temporary),
        (errors.SerializationFailure("x"), Temporary),
        (errors.LockNotAvailable("x"), Temporary),
        (errors.AdminShutdown("x"), Temporary),
        (errors.TooManyConnections("x"), Temporary),
        (errors.CannotConnectNow("x"), Unreachable),
        (errors.InvalidCatalogName("x"), Unreachable),
        (errors.UndefinedTable("x"), Permanent),
        (errors.SyntaxError("x"), Permanent),
        (errors.ReadOnlySqlTransaction("x"), Permanent),
        (psycopg.OperationalError("connection failed: refused"), Unreachable),
        (psycopg.OperationalError("consuming input failed: server closed the connection"), Temporary),
        (psycopg.OperationalError('connection failed: FATAL:  role "r" does not exist'), Forbidden),
        (psycopg.OperationalError('connection is bad: invalid sslmode value: "disablex"'), Misconfigured),
        (psycopg.ProgrammingError('invalid connection option "foo"'), Misconfigured),
        (psycopg.ProgrammingError("bad value for connect_timeout: 'abc'"), Misconfigured),
        (psycopg.OperationalError('connection is bad: invalid port number: "99999"'), Misconfigured),
        (psycopg.OperationalError('root certificate file "/x/root.crt" does not exist'), Misconfigured),
    ],
)
def test_errors_are_classed_by_what_to_do(error: psycopg.Error, ours: type[TrueupError]) -> None:
    told = translate(error, "digesting public.t", "postgresql://h:5432/d")
    assert type(told) is ours
    assert str(told).startswith("digesting public.t on postgresql://h:5432/d: ")


def test_a_value_in_an_error_is_not_told() -> None:
    error = errors.InvalidTextRepresentation('invalid input syntax for type integer: "card 4111"')
    assert "4111" not in str(translate(error, "asking", "here"))


class _OfTheirOwn(psycopg.Error):
    sqlstate = "TU404"


@pytest.mark.parametrize(
    "kind", [errors.RaiseException, errors.AssertFailure, errors.ExternalRoutineException, _OfTheirOwn]
)
def test_what_a_function_raises_is_not_told(kind: type[psycopg.Error]) -> None:
    told = translate(kind("card 4111"), "asking", "here")
    assert type(told) is Permanent
    assert "4111" not in str(told)
    assert f"SQLSTATE {kind.sqlstate}" in str(told)


@pytest.mark.parametrize("url", ["mysql://u@h/d", "nonsense", "postgresql://h:port/d"])
def test_a_wrong_url_is_a_matter_of_configuration(url: str) -> None:
    with pytest.raises(Misconfigured, match="need postgresql://"):
        Sessions(url)


def test_a_value_that_the_server_does_not_make_is_told_from_other_troubles() -> None:
    assert beyond_one_value(errors.ProgramLimitExceeded())
    for other in (errors.InternalError_(), errors.QueryCanceled(), errors.OutOfMemory(), psycopg.OperationalError()):
        assert not beyond_one_value(other)
