"""Keys between engines: the leader's ranges hold the same rows on the follower, and its keys are found there.

Every kind of key, in the order that `verifier.encoding.ordered_by_bytes` gives, whatever the collations and the types'
own orders are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from fixtures.typed_servers import TypedServer, TypedServers
from fixtures.walking import walk

from verifier.compare import Comparison, comparison, using
from verifier.digest import EMPTY
from verifier.keyrange import ALL
from verifier.table import Key, Scheme, Table

PAIRS = (("postgresql-15", "mariadb"), ("mariadb", "mysql"), ("mysql", "postgresql-15"))
SCHEMES = (Scheme.CANONICAL, Scheme.CLIENT)
WORDS = ["", "a", "A", "aa", "Ab", "b", "é", "e\u0301", "z", "Z", "ß", "'", '"', "%s", "\\", "日本", "\U0001f600", "-"]
MOMENTS = [f"2024-01-0{day} 10:00:00.{day}" for day in (1, 2)]
BY_BYTES = "varchar(20) collate utf8mb4_bin"
UUIDS = [f"{n:08x}-0000-4000-8{n:03x}-{255 - n:02x}00000000{n % 7:02x}" for n in (0, 1, 2, 9, 10, 254, 255)]
NUMBERS = ["-10", "-1", "0", "1", "2", "10", "100"]


@dataclass(frozen=True, slots=True)
class Keyed:
    """Columns of a key as PostgreSQL and as MySQL and MariaDB declare them, and the keys, one text a column."""

    postgres: Sequence[str]
    mysql: Sequence[str]
    keys: Sequence[Sequence[str]]
    mariadb: Sequence[str] | None = None


KEYS = {
    "integer": Keyed(["bigint"], ["bigint"], [[n] for n in (*NUMBERS, str(2**63 - 1), str(-(2**63)))]),
    "unsigned": Keyed(["numeric(20)"], ["bigint unsigned"], [["0"], ["9"], ["10"], [str(2**63)], [str(2**64 - 1)]]),
    "decimal": Keyed(["numeric(10,2)"], ["decimal(12,4)"], [[n] for n in (*NUMBERS, "0.5", "-0.25", "9.99")]),
    "text": Keyed(["text"], [BY_BYTES], [[word] for word in WORDS]),
    "words and numbers": Keyed(
        ["text", "bigint"], [BY_BYTES, "int"], [[w, n] for w in ("", "a", "B", "é") for n in NUMBERS]
    ),
    "letters of one case": Keyed(["text"], ["varchar(20)"], [["a"], ["B"], ["c"], ["Z"], ["-"], ["日"]]),
    "padded": Keyed(["char(8)"], ["char(8)"], [["a"], ["B"], ["c d"], ["0"]]),
    "uuid": Keyed(["uuid"], ["char(36)"], [[one] for one in UUIDS], mariadb=["uuid"]),
    "uuid in bytes": Keyed(["uuid"], ["binary(16)"], [[one] for one in UUIDS]),
    "uuid spelled": Keyed(["uuid"], ["varchar(38)"], [[one] for one in UUIDS]),
    "bytes": Keyed(["bytea"], ["varbinary(8)"], [["\\x"], ["\\x00"], ["\\x0001"], ["\\x80"], ["\\xff"], ["\\x7f41"]]),
    "date": Keyed(["date"], ["date"], [["0001-01-01"], ["0999-12-31"], ["2024-02-29"], ["9999-12-31"]]),
    "time": Keyed(["time"], ["time(6)"], [["00:00:00"], ["10:00:00.5"], ["24:00:00"], ["09:59:59.999999"]]),
    "moment": Keyed(
        ["timestamptz", "int"], ["datetime(6)", "int"], [[at, n] for at in MOMENTS for n in NUMBERS]
    ),
    "enum": Keyed(["mood"], ["enum('sad','Happy','é')"], [["sad"], ["Happy"], ["é"]]),
    "flag": Keyed(["boolean", "int"], ["tinyint(1)", "int"], [[flag, n] for flag in "01" for n in NUMBERS]),
    "double": Keyed(["double precision"], ["double"], [["-1e100"], ["-0.1"], ["0"], ["5e-324"], ["0.1"], ["1e15"]]),
}  # fmt: skip


@pytest.fixture(scope="module", params=PAIRS, ids="-with-".join)
def pair(request: pytest.FixtureRequest, typed_servers: TypedServers) -> tuple[TypedServer, TypedServer]:
    one, other = (typed_servers(engine) for engine in request.param)
    return one, other


def made(server: TypedServer, keyed: Keyed) -> Table:
    """The table with all keys, and one row less or more nowhere."""
    declared = keyed.postgres if server.speaks_postgres else keyed.mysql
    if server.engine == "mariadb":
        declared = keyed.mariadb or keyed.mysql
    names = [f"k{n}" for n in range(len(declared))]
    columns = ", ".join(f"{name} {kind} not null" for name, kind in zip(names, declared, strict=True))
    server.sql("drop table if exists keyed")
    server.sql(f"create table keyed ({columns}, v int, primary key ({', '.join(names)}))")
    for number, key in enumerate(keyed.keys):
        given = [_given(server, kind, text) for kind, text in zip(declared, key, strict=True)]
        server.sql(f"insert into keyed values ({', '.join(['%s'] * len(given))}, {number % 3})", given)
    described: Table = server.table("keyed")
    return described


def _given(server: TypedServer, kind: str, text: str) -> Any:
    if not server.speaks_postgres and "binary" in kind:
        return bytes.fromhex(text.removeprefix("\\x").replace("-", ""))
    return text.upper() if kind == "varchar(38)" else text


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: scheme.value)
@pytest.mark.parametrize("kind", KEYS)
def test_ranges_and_keys_mean_the_same_rows(pair: tuple[TypedServer, TypedServer], kind: str, scheme: Scheme) -> None:
    leader, follower = (server.replica for server in pair)
    both = _compared(pair, KEYS[kind], scheme)
    found: list[Key] = []
    total = EMPTY
    for within in walk(leader, both.leader, 2):
        left, right = leader.row_digests(both.leader, within).value, follower.row_digests(both.follower, within).value
        assert dict(left) == dict(right), within
        assert 0 < len(left) <= 2
        assert leader.digest(both.leader, within).value == follower.digest(both.follower, within).value
        total += follower.digest(both.follower, within).value
        found += left
    assert total == leader.digest(both.leader, ALL).value
    assert len(found) == len(set(found)) == len(KEYS[kind].keys)
    for one, other in ((both.leader, both.follower), (both.follower, both.leader)):
        ours, theirs = (leader, follower) if one is both.leader else (follower, leader)
        keys = list(ours.row_digests(one, ALL).value)
        assert theirs.point_digests(other, keys).value == dict(theirs.row_digests(other, ALL).value)
        assert set(theirs.rows(other, keys).value) == set(keys)


def _compared(pair: tuple[TypedServer, TypedServer], keyed: Keyed, scheme: Scheme) -> Comparison:
    compared = comparison(made(pair[0], keyed), made(pair[1], keyed), abroad=True)
    assert compared.problem is None
    return using(compared, scheme)


STRANGE: dict[str, list[Key]] = {
    "integer": [(2**63,), (-(2**64),), (3,)],
    "decimal": [("NaN",), ("Infinity",), ("0.005",), ("1e30",), ("100000000000000000000",)],
    "date": [("0000-00-00",), ("infinity",), ("0044-03-15 BC",), ("2024-13-01",)],
    "time": [("-01:00:00",), ("838:59:59",), ("25:00:00",)],
    "moment": [("infinity", 1), ("0000-00-00 00:00:00", 1), ("2024-01-01 10:00:00.1+00", 77)],
    "uuid": [("junk",), ("",), ("6f1c1e0a-8d2b-4f57-9a3c-0d9e8b7a6c5d",)],
    "enum": [("other",), ("SAD",), ("",)],
    "letters of one case": [("A",), ("b",), ("z",), ("c ",)],
    "flag": [("2", 1), ("true", 77)],
    "double": [("NaN",), ("Infinity",), ("0.30000000000000004",)],
}
"""Keys that no row has, and that some engine cannot even hold: they are not there, and no error."""


@pytest.mark.parametrize("kind", STRANGE)
def test_a_key_that_cannot_be_here_is_not_here(pair: tuple[TypedServer, TypedServer], kind: str) -> None:
    both = _compared(pair, KEYS[kind], Scheme.CANONICAL)
    for server, table in zip(pair, (both.leader, both.follower), strict=True):
        for key in STRANGE[kind]:
            assert server.replica.point_digests(table, [key]).value == {}, (server.engine, key)
        known = next(iter(server.replica.row_digests(table, ALL).value))
        assert set(server.replica.rows(table, [*STRANGE[kind], known]).value) == {known}


def test_the_schemes_of_a_pair_read_the_same_rows(pair: tuple[TypedServer, TypedServer]) -> None:
    both = _compared(pair, KEYS["words and numbers"], Scheme.CANONICAL)
    for server, table in zip(pair, (both.leader, both.follower), strict=True):
        ours = server.replica.row_digests(table, ALL).value
        theirs = server.replica.row_digests(replace(table, scheme=Scheme.CLIENT), ALL).value
        assert set(ours) == set(theirs)
        assert all(ours[key] != theirs[key] for key in ours)
