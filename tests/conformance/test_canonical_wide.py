"""A row of more columns than a function of PostgreSQL takes arguments is hashed as the reference does."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fixtures.databases import Database

from connectors.postgres.replica import Options, PostgresReplica
from verifier.encoding import canonical_hash, encode
from verifier.keyrange import ALL
from verifier.look import Role
from verifier.table import Scheme, TableName

pytestmark = pytest.mark.postgres
NUMBERS, TEXTS = 130, 230


def test_many_columns_with_and_without_values(database: Database) -> None:
    numbers = ", ".join(f"n{n} int" for n in range(NUMBERS))
    texts = ", ".join(f"t{n} text" for n in range(TEXTS))
    database.sql(f"create table t (id int primary key, {numbers}, {texts})")
    database.sql("insert into t (id) values (1)")
    database.sql("insert into t (id, n3, t0) values (2, 7, '')")
    database.sql("insert into t (id, t105) values (3, ',')")
    database.sql("insert into t (id, t229) values (4, 'last')")
    database.sql(f"insert into t (id, {', '.join(f't{n}' for n in range(TEXTS))}) values (5" + ", ''" * TEXTS + ")")
    leader = PostgresReplica("leader", database.url, Options(role=Role.LEADER))
    table = replace(leader.table(TableName("public", "t")), scheme=Scheme.CANONICAL)
    hashes = leader.row_digests(table, ALL).value
    rows = leader.rows(table, list(hashes)).value
    leader.close()
    assert len(set(hashes.values())) == 5
    assert dict(hashes) == {key: canonical_hash(encode(table.columns, row.values)) for key, row in rows.items()}
    assert dict(hashes) == {key: row.digest for key, row in rows.items()}
