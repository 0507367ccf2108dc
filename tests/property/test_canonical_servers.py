"""What servers hash in SQL is what the reference hashes, and two engines agree on every value that both can hold.

Rows of all types together, so that each type stands beside each other; the same rows on both engines of a pair.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

import pytest
from fixtures.typed_servers import CLIENT_SLOTS, ENGINES, SLOTS, Slot, TypedServer, TypedServers
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from connectors.client.hashing import joinable
from verifier.canonical import differing_columns
from verifier.compare import comparison, using
from verifier.digest import Digest
from verifier.encoding import canonical_hash, client_hash, encode
from verifier.keyrange import ALL
from verifier.scheme import chosen
from verifier.table import Column, Family, Scheme, Table, Value

Rows = Sequence[Mapping[str, Value]]
Pair: TypeAlias = tuple[TypedServer, TypedServer]
PAIRS = (
    ("postgresql-15", "mariadb"), ("postgresql-18", "mysql"), ("mariadb", "mysql"), ("mysql", "postgresql-13"),
)  # fmt: skip
WITH_FILES = (("postgresql-18", "sqlite"), ("mariadb", "duckdb"))
few = settings(
    max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), database=None,
    phases=[Phase.explicit, Phase.generate],  # shrinking would ask real servers a thousand times
)  # fmt: skip
fewest = settings(few, max_examples=4)


def rows_of(slots: Sequence[Slot]) -> st.SearchStrategy[list[dict[str, Value]]]:
    row = st.fixed_dictionaries({slot.name: st.none() | slot.values for slot in slots})
    return st.lists(row, min_size=1, max_size=8)


def agrees_with_the_reference(server: TypedServer, table: Table) -> None:
    """Digest, row digests, digests of points and rows say the same, and it is what the reference says."""
    replica, hashed = server.replica, canonical_hash if table.scheme is Scheme.CANONICAL else client_hash
    packed = dict(replica.row_digests(table, ALL).value)
    assert replica.digest(table, ALL).value == Digest.of(packed.values())
    assert replica.point_digests(table, list(packed)).value == packed
    rows = replica.rows(table, list(packed)).value
    assert {key: row.digest for key, row in rows.items()} == packed
    for key, row in rows.items():
        if packed[key] != hashed(encode(table.columns, row.values)):
            assert [
                column.name for column in table.columns if not hashed_alone(server, table, column, row.values)
            ] == []
            pytest.fail("the row is hashed otherwise, its columns alone are not")


def hashed_alone(server: TypedServer, table: Table, column: Column, values: Mapping[str, Value]) -> bool:
    """Whether this column's value, as a row of its own, is hashed as it should be: names the culprit."""
    hashed = canonical_hash if table.scheme is Scheme.CANONICAL else client_hash
    alone = replace(table, columns=(column,), key=(), where=f"id = {values['id']}")
    return server.replica.multiset(alone).value == {hashed(encode((column,), values)): 1}


@pytest.fixture(scope="module", params=ENGINES)
def filled(request: pytest.FixtureRequest, typed_servers: TypedServers) -> TypedServer:
    server = typed_servers(request.param)
    server.make("wide", SLOTS)
    return server


@few
@given(rows=rows_of(SLOTS))
def test_sql_hashes_what_the_reference_hashes(filled: TypedServer, rows: Rows) -> None:
    filled.write("wide", SLOTS, rows)
    table = filled.table("wide")
    assert [c.name for c in table.columns if not filled.replica.canonical(c)] == []
    for scheme in (Scheme.CANONICAL, Scheme.CLIENT):
        agrees_with_the_reference(filled, replace(table, scheme=scheme))
    short = tuple(c for c in table.columns if c.meets_as not in (Family.BYTES, Family.GEOMETRY))
    joined = replace(table, columns=short, scheme=Scheme.CLIENT)
    assert joinable(joined, filled.replica.canonical)
    agrees_with_the_reference(filled, joined)


@pytest.fixture(scope="module", params=PAIRS, ids="-with-".join)
def pair(request: pytest.FixtureRequest, typed_servers: TypedServers) -> Pair:
    return made(request.param, typed_servers)


@pytest.fixture(scope="module", params=WITH_FILES, ids="-with-".join)
def file_pair(request: pytest.FixtureRequest, typed_servers: TypedServers) -> Pair:
    return made(request.param, typed_servers)


def made(engines: tuple[str, str], typed_servers: TypedServers) -> Pair:
    one, other = (typed_servers(engine) for engine in engines)
    for server in (one, other):
        server.make("wide", held(SLOTS, (one, other)))
        server.make("documents", held(CLIENT_SLOTS, (one, other)))
    return one, other


def held(slots: Sequence[Slot], pair: Pair) -> list[Slot]:
    """Those for which both engines have a type: all, unless one is a file."""
    return [slot for slot in slots if all(slot.declared(server.engine) for server in pair)]


@few
@given(rows=rows_of(SLOTS), others=rows_of(CLIENT_SLOTS))
def test_two_engines_agree_on_the_same_rows(pair: Pair, rows: Rows, others: Rows) -> None:
    agree(pair, rows, others)


@fewest
@given(rows=rows_of(SLOTS), others=rows_of(CLIENT_SLOTS))
def test_a_server_and_a_file_agree_on_the_same_rows(file_pair: Pair, rows: Rows, others: Rows) -> None:
    agree(file_pair, rows, others)


def agree(pair: Pair, rows: Rows, others: Rows) -> None:
    in_sql = Scheme.CLIENT if "duckdb" in {server.engine for server in pair} else Scheme.CANONICAL
    for name, slots, given_rows, expected in (
        ("wide", SLOTS, rows, in_sql),
        ("documents", CLIENT_SLOTS, others, Scheme.CLIENT),
    ):
        leader, follower = (server.replica for server in pair)
        for server in pair:
            server.write(name, held(slots, pair), given_rows)
        compared = comparison(pair[0].table(name), pair[1].table(name), abroad=True)
        assert compared.problem is None
        assert chosen(compared, leader, follower, native=False).scheme is expected
        for scheme in {expected, Scheme.CLIENT}:
            both = using(compared, scheme)
            left = dict(leader.row_digests(both.leader, ALL).value)
            right = dict(follower.row_digests(both.follower, ALL).value)
            apart = [key for key in left if left[key] != right.get(key)]
            ours, theirs = leader.rows(both.leader, apart).value, follower.rows(both.follower, apart).value
            assert {key: differing_columns(both.leader, ours[key].values, theirs[key].values) for key in apart} == {}, (
                "the same values have other hashes"
            )
            assert left == right
            assert leader.digest(both.leader, ALL).value == follower.digest(both.follower, ALL).value


def test_every_family_is_compared(pair: Pair) -> None:
    """No column of the two tables above is left out, whatever families its two sides have."""
    all_compared(pair)


def test_every_family_that_a_file_has_is_compared(file_pair: Pair) -> None:
    all_compared(file_pair)


def all_compared(pair: Pair) -> None:
    for name, slots in (("wide", SLOTS), ("documents", CLIENT_SLOTS)):
        compared = comparison(pair[0].table(name), pair[1].table(name), abroad=True)
        assert [c.name for c in compared.leader.columns] == ["id", *(slot.name for slot in held(slots, pair))]
        lacking = {slot.postgres for slot in slots} - {slot.postgres for slot in held(slots, pair)}
        assert lacking <= ({"bit(9)"} if pair[1].engine == "sqlite" else set())
    met = {c.meets_as for name in ("wide", "documents") for c in pair[0].table(name).columns}
    assert met >= {Family.INTEGER, Family.DECIMAL, Family.FLOAT, Family.BYTES, Family.DATE, Family.TIME, Family.ENUM}
