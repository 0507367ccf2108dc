"""What routines raise inside a statement may quote rows: its number is told in findings and logs, its text in none."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from fixtures.databases import Database
from fixtures.mysql_servers import PairDatabase

from trueup.bootstrap.engines import Endpoints, open_endpoints
from trueup.bootstrap.servers import Address
from trueup.clock import SystemClock
from verifier.check import Checker
from verifier.invariant import Finding, Standing, Violations
from verifier.policy import Limits
from verifier.sides import CheckPolicy

SECRET = "card 4111"
_POSTGRES = {
    "P0001": "raise exception 'bad row: %', v",
    "P0004": "assert false, v",
    "TU404": "raise exception using errcode = 'TU404', message = v",
    "40001": "raise exception using errcode = '40001', message = v",  # a state that the server has a meaning for
    "22023": "raise exception using errcode = '22023', message = v",
}
_MYSQL = {
    "1644": "message_text = v",
    "30001": "message_text = v, mysql_errno = 30001",
    "1146": "message_text = v, mysql_errno = 1146",
}


@contextmanager
def _opened(url: str) -> Iterator[Endpoints]:
    with closing(open_endpoints(Address("leader", url), [], Limits())) as servers:
        yield servers


def _checked(servers: Endpoints, sql: str) -> Finding:
    invariant = Violations("rule", "leader", sql)
    return Checker(invariant, {"leader": servers.leader}, "leader", SystemClock(), CheckPolicy()).settled()


@pytest.mark.postgres
def test_postgres_tells_the_state_and_not_the_text(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    database.sql(f"create table t (id int primary key, v text); insert into t values (1, '{SECRET}')")
    caplog.set_level(logging.DEBUG)
    with _opened(database.url) as servers:
        for state, body in _POSTGRES.items():
            database.sql(
                f"create or replace function f(v text) returns bool language plpgsql as $$ begin {body}; end $$"
            )
            found = _checked(servers, "select id from t where f(v)")
            assert found.standing is Standing.UNVERIFIED
            assert f"SQLSTATE {state}" in str(found.reason)
            assert "4111" not in str(found.reason)
    assert "4111" not in caplog.text


@pytest.mark.mysql
def test_mysql_tells_the_number_and_not_the_text(pair_database: PairDatabase, caplog: pytest.LogCaptureFixture) -> None:
    pair_database.sql("create table t (id int primary key, v text)", f"insert into t values (1, '{SECRET}')")
    caplog.set_level(logging.DEBUG)
    with _opened(pair_database.leader_url) as servers:
        for number, body in _MYSQL.items():
            pair_database.sql(
                "drop function if exists f",
                "create function f(v text) returns int deterministic begin "
                f"signal sqlstate '45000' set {body}; return 1; end",
            )
            found = _checked(servers, "select id from t where f(v)")
            assert found.standing is Standing.UNVERIFIED
            assert number in str(found.reason)
            assert "4111" not in str(found.reason)
    assert "4111" not in caplog.text
