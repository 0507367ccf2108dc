"""Chunks of a big table end where the planner's histogram says while that is fresh, and else where a walk says."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from fixtures.databases import Database

from connectors.postgres.milestones import ROWS_LEAST
from connectors.postgres.replica import Options, PostgresReplica
from verifier.digest import EMPTY, Digest
from verifier.keyrange import ALL, KeyRange
from verifier.look import Role
from verifier.table import Key, TableName

pytestmark = pytest.mark.postgres

ROWS, WANTED = 100_000, 40_000
MADE = f"""
create table big (id bigint primary key, v text);
insert into big select n * 3 - 50000, 'v' || n from generate_series(1, {ROWS}) n;
alter table big set (autovacuum_enabled = off);
"""
HELD = "select histogram_bounds::text::bigint[] from pg_stats where tablename = 'big' and attname = 'id'"


@pytest.fixture
def replica(database: Database) -> Iterator[PostgresReplica]:
    made = PostgresReplica("leader", database.url, Options(role=Role.LEADER))
    yield made
    made.close()


def changes_counted(database: Database, least: int) -> None:
    """The server tells its counters a moment later than it counts."""
    deadline = time.monotonic() + 60
    asked = "select n_mod_since_analyze from pg_stat_all_tables where relname = 'big'"
    while database.sql(asked)[0][0] < least:
        assert time.monotonic() < deadline, f"changes counted: not within {60} s"
        time.sleep(0.05)


def test_a_walk_over_a_big_table_ends_its_chunks_at_keys_of_the_histogram(
    database: Database, replica: PostgresReplica
) -> None:
    database.sql(MADE)
    database.sql("analyze big")
    (bounds,) = database.sql(HELD)[0]
    table = replica.table(TableName("public", "big"))
    ends: list[Key] = []
    lower: Key | None = None
    total, rows = EMPTY, []
    while True:
        upper = replica.boundary(table, lower, WANTED)
        part: Digest = replica.digest(table, KeyRange(lower, upper)).value
        total += part
        rows.append(part.rows)
        if upper is None:
            break
        ends.append(upper)
        lower = upper
    assert total == replica.digest(table, ALL).value
    assert total.rows == ROWS
    assert [key[0] in bounds for key in ends] == [True, True]
    assert max(rows) < WANTED * 1.2  # the histogram is a sample

    few = replica.boundary(table, None, ROWS_LEAST - 1)
    assert few == ((ROWS_LEAST) * 3 - 50000,)
    some = replica.boundary(replace(table, where="id % 2 = 0"), None, WANTED)
    assert some == ((WANTED + 1) * 6 - 50000,)


def test_a_histogram_that_is_older_than_many_changes_is_not_used(database: Database, replica: PostgresReplica) -> None:
    database.sql(MADE)
    table = replica.table(TableName("public", "big"))
    walked = (WANTED * 3 + 3 - 50000,)
    assert replica.boundary(table, None, WANTED) == walked  # nobody has analyzed it
    database.sql("analyze big")
    assert replica.boundary(table, None, WANTED) != walked
    database.sql(f"delete from big where id > {ROWS * 3 - 50000 - 3 * 6000}")
    changes_counted(database, 6000)
    assert replica.boundary(table, None, WANTED) == walked  # a new walk looks at it anew
