"""Two servers use the fast forms only where they share what those rest on."""

from __future__ import annotations

import pytest
from fixtures.databases import Database
from fixtures.servers import Servers

from connectors.postgres.agreement import agree
from connectors.postgres.expressions import RowForm
from connectors.postgres.replica import Options, PostgresReplica
from verifier.keyrange import ALL
from verifier.look import Role
from verifier.table import TableName

pytestmark = pytest.mark.postgres


def test_one_old_server_makes_all_hash_text(database: Database, postgres_server: Servers) -> None:
    leader = PostgresReplica("leader", database.url, Options(role=Role.LEADER))
    old = PostgresReplica("old", postgres_server(13).url())
    new = PostgresReplica("new", postgres_server(18).url())
    assert agree([leader, new]).form is RowForm.RECORD
    agreement = agree([leader, new, old])
    assert agreement.form is RowForm.TEXT
    assert any("old runs 13" in reason for reason in agreement.reasons)
    assert {replica.options.form for replica in (leader, new, old)} == {RowForm.TEXT}
    for replica in (leader, old, new):
        replica.close()


def test_text_is_walked_in_its_own_order_only_where_both_sort_alike(database: Database) -> None:
    """The follower's column is sorted by another collation; the leader's other tables keep their own order."""
    database.sql("create schema theirs")
    made = "create table {}.words (w text {} primary key); create table {}.numbers (n int primary key)"
    database.sql(made.format("public", 'collate "C"', "public"))
    leader = PostgresReplica("leader", database.url, Options(role=Role.LEADER))
    twin = PostgresReplica("twin", database.url)
    words, numbers = TableName("public", "words"), TableName("public", "numbers")
    assert agree([leader, twin]).native_order == {words, numbers}

    database.cluster.sql(f'create database "{database.name}_x"')
    other = Database(database.cluster, f"{database.name}_x")
    other.sql(made.format("public", 'collate "en-x-icu"', "public"))
    follower = PostgresReplica("follower", other.url)
    agreement = agree([leader, follower])
    assert agreement.native_order == {numbers}
    assert [reason for reason in agreement.reasons if "public.words" in reason] == list(agreement.reasons)
    for side in (database, other):
        side.sql("insert into words values ('a'), ('B'), ('c')")
    second = leader.boundary(leader.table(words), None, 1)
    assert second == ("a",)  # by bytes 'B' comes first
    assert leader.digest(leader.table(words), ALL).value == follower.digest(follower.table(words), ALL).value
    for replica in (leader, twin, follower):
        replica.close()
    database.cluster.sql(f'drop database "{other.name}" with (force)')
