"""Configured invariants become the core's: SQL of trueup's own in the endpoint's dialect, hostile names quoted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import config
from config.invariant import EqualByKey, NonNegative, Violations
from connectors.memory.clock import VirtualClock
from reconciler.masking import NOTHING_MASKED
from trueup.bootstrap.engines import open_group_endpoints, open_replica
from trueup.bootstrap.invariants import checkers, invariant
from trueup.bootstrap.servers import Address
from verifier import invariant as core
from verifier.check import Checker
from verifier.policy import Limits
from verifier.ports import Replica

GROUP = """\
groups:
  - name: shop
    leader: {name: main, url: postgresql://t@h/shop}
    followers: [{name: eu, url: mariadb://t@h2/shop}]
    scan: {statement_timeout: 7s}
    invariants:
      - {name: stock, kind: non_negative, endpoint: eu, table: a.b, columns: [n], key: [k], sample: 3}
      - {name: rows, kind: violations, endpoint: main, sql: select 1}
"""
TABLE, COLUMN = 'a"`.b"`%', 'n"`%s'


@pytest.fixture(
    params=["postgresql://t@nowhere/shop", "mariadb://t@nowhere/shop", "mysql://t@nowhere/shop", "sqlite", "duckdb"]
)
def replica(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Replica]:
    """Of every engine; nobody is connected to."""
    url = request.param if "://" in request.param else f"{request.param}:///{tmp_path}/x.db"
    with closing(open_replica(Address("eu", url), None, Limits())) as opened:
        yield opened


def test_non_negative_is_written_in_the_endpoints_own_dialect(replica: Replica) -> None:
    told = {"name": "stock", "kind": "non_negative", "endpoint": "eu", "table": TABLE, "grace": "5s"}
    settings = NonNegative.model_validate(told | {"columns": (COLUMN, "k"), "key": ("k",)})
    made = invariant(settings, {"eu": replica})
    assert isinstance(made, core.Violations)
    assert (made.name, made.endpoint, made.grace_seconds, made.key) == ("stock", "eu", 5.0, ("k",))
    assert (
        " ".join(made.sql.split()).lower()
        == {
            "postgresql": 'select t."k", t."n""`%s" from "a""`"."b""`%" as t where t."n""`%s" < 0 or t."k" < 0',
            "mariadb": 'select t.`k`, t.`n"``%s` from `a"```.`b"``%` as t where t.`n"``%s` < 0 or t.`k` < 0',
            "mysql": 'select t.`k`, t.`n"``%s` from `a"```.`b"``%` as t where t.`n"``%s` < 0 or t.`k` < 0',
            "sqlite": 'select t."k", t."n""`%s" from "a""`"."b""`%" as t where t."n""`%s" < 0 or t."k" < 0',
            "duckdb": 'select t."k", t."n""`%s" from "a""`"."b""`%" as t where t."n""`%s" < 0 or t."k" < 0',
        }[replica.dialect]
    )


def test_the_others_are_passed_on() -> None:
    sides = {"left": {"endpoint": "eu", "sql": "select 1, 2"}, "right": {"endpoint": "us", "sql": "select 1, 3"}}
    books = EqualByKey.model_validate({"name": "books", "kind": "equal_by_key", "grace": "2s"} | sides)
    assert invariant(books, {}) == core.EqualByKey(
        "books", core.Side("eu", "select 1, 2"), core.Side("us", "select 1, 3"), 2.0
    )
    told = {"name": "rows", "kind": "violations", "endpoint": "eu", "sql": "select 1", "key": ("id",), "grace": "2s"}
    assert invariant(Violations.model_validate(told), {}) == core.Violations("rows", "eu", "select 1", 2.0, ("id",))


def test_each_gets_its_own_sample_and_the_statements_time_limit(tmp_path: Path) -> None:
    (group,) = config.parse(GROUP, folder=tmp_path).groups
    with closing(open_group_endpoints(group)) as servers:
        found = checkers(group, servers, NOTHING_MASKED)
    assert {name: (one.policy.sample_max, one.policy.seconds_max) for name, one in found.items()} == {
        "stock": (3, 7.0),
        "rows": (10, 7.0),
    }
    assert {one.leader for one in found.values()} == {"main"}
    assert set(found["rows"].endpoints) == {"main", "eu"}


def test_a_database_that_is_not_open_is_named_by_the_checker() -> None:
    settings = NonNegative(name="stock", kind="non_negative", endpoint="us", table="a.b", columns=("n",), key=("k",))
    found = Checker(invariant(settings, {}), {}, "leader", VirtualClock()).check()
    assert found.standing is core.Standing.UNVERIFIED
    assert str(found.reason).startswith("invariant 'stock': no endpoint 'us'")
