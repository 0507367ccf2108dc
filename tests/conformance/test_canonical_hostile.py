"""No two rows of a hostile set share a hash, and no exchange of values between rows leaves a sum unchanged: on every
engine, by every scheme.

The set has separators, words for NULL, what stands for NULL in the encoding, boundaries that could shift from one
column to the next, and the same values in other columns. What is dropped or exchanged must be seen by the sum.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace

import pytest
from fixtures.typed_servers import ENGINES, Slot, TypedServer, TypedServers
from hypothesis import strategies as st

from connectors.postgres.expressions import RowForm
from connectors.postgres.replica import PostgresReplica
from verifier.digest import MODULUS
from verifier.keyrange import ALL
from verifier.table import Key, Scheme, Value

WORDS: tuple[Value, ...] = (
    None, "", "-", "!", ",", "0", "1", "NULL", "\\N", "a", "a,", ",a", "a,b", "b", "1,0", "-,", "é", "e\u0301", "A",
)  # fmt: skip
NUMBERS: tuple[Value, ...] = (None, "0", "1", "-1", "10", "100", "4294967296", "-4294967296")
SLOTS = (
    Slot("m", "bigint", "bigint", st.nothing()),
    Slot("n", "bigint", "bigint", st.nothing()),
    Slot("x", "text", "varchar(20)", st.nothing()),
    Slot("y", "text", "varchar(20)", st.nothing()),
)
ROWS: list[Mapping[str, Value]] = [
    *({"m": "0", "n": "0", "x": x, "y": y} for x, y in itertools.product(WORDS, WORDS)),
    *({"m": m, "n": n, "x": None, "y": "#"} for m, n in itertools.product(NUMBERS, NUMBERS)),
]


@pytest.fixture(scope="module", params=ENGINES)
def server(request: pytest.FixtureRequest, typed_servers: TypedServers) -> TypedServer:
    found = typed_servers(request.param)
    found.make("hostile", SLOTS)
    found.write("hostile", SLOTS, ROWS)
    if isinstance(found.replica, PostgresReplica) and not request.param.endswith("13"):
        found.replica.adopt(RowForm.RECORD, frozenset())
    return found


@pytest.mark.parametrize("scheme", Scheme)
def test_hostile_rows_stay_apart(server: TypedServer, scheme: Scheme) -> None:
    """Without the key, so that nothing but the values keeps rows apart."""
    table = replace(server.table("hostile"), scheme=scheme, key=())
    blind = replace(table, columns=tuple(c for c in table.columns if c.name != "id"))
    found = server.replica.multiset(blind).value
    assert len(found) == len(ROWS)
    assert set(found.values()) == {1}


@pytest.mark.parametrize("scheme", Scheme)
def test_an_exchange_between_two_rows_is_seen(server: TypedServer, scheme: Scheme) -> None:
    """Values exchanged, whole rows exchanged, one row twice for two that are gone: the sum is another one."""
    table = replace(server.table("hostile"), scheme=scheme)
    hashes: Mapping[Key, int] = server.replica.row_digests(table, ALL).value
    by_words = {(row["x"], row["y"]): hashes[number,] for number, row in enumerate(ROWS[: len(WORDS) ** 2])}
    for (a, b), (c, d) in itertools.combinations(itertools.combinations(WORDS, 2), 2):
        one, other = by_words[a, b], by_words[c, d]
        if (a, d) != (c, b) and a != c and b != d:
            assert (one + other) % MODULUS != (by_words[a, d] + by_words[c, b]) % MODULUS
    numbers = sorted(hashes.values())
    assert len(set(numbers)) == len(numbers)
    assert len({(x + y) % MODULUS for x, y in itertools.combinations(numbers[:150], 2)}) == 150 * 149 // 2


def test_the_same_rows_under_other_keys_are_other_rows(server: TypedServer) -> None:
    for scheme in Scheme:
        table = replace(server.table("hostile"), scheme=scheme)
        before = server.replica.digest(table, ALL).value
        server.sql("update hostile set id = -1 where id = 5")
        server.sql("update hostile set id = 5 where id = 6")
        server.sql("update hostile set id = 6 where id = -1")
        after = server.replica.digest(table, ALL).value
        assert after.rows == before.rows
        assert after != before
