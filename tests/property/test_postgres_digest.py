"""The row hash keeps apart what differs and merges what is equal, on every supported server and in both schemes.

Each type has groups of spellings: one group is one value. For two keys the hash of every value is taken from the
server; then no two values may share a hash, and exchanging two values between the two rows must change the sum.
The hashes of all servers must equal those in `tests/golden/data/postgres_row_hashes.json`.
"""

from __future__ import annotations

import itertools
import json
import os
from pathlib import Path

import pytest
from fixtures.servers import Servers

from connectors.embedded import Cluster
from connectors.postgres.expressions import RowForm, row_hash
from connectors.postgres.session import Sessions
from verifier.digest import MODULUS
from verifier.table import Column, Family, Table, TableName

GOLDEN = Path(__file__).parents[1] / "golden" / "data" / "postgres_row_hashes.json"

Groups = list[list[str | None]]

HOSTILE: dict[str, tuple[Family, Groups]] = {
    "bigint": (
        Family.INTEGER,
        [["2147483647"], ["2147483648"], ["-2147483648"], ["-2147483649"],
         ["0"], ["1"], ["-1"], ["4294967295"], ["4294967296"], ["4294967297"], ["-4294967296"], ["-4294967297"],
         ["9223372036854775807"], ["-9223372036854775808"], [None]],
    ),
    "integer": (Family.INTEGER, [["0"], ["1"], ["-1"], ["2147483647"], ["-2147483648"], [None]]),
    "smallint": (Family.INTEGER, [["0"], ["1"], ["-1"], [None]]),
    "numeric": (
        Family.DECIMAL,
        [["0", "-0", "0.000"], ["1", "1.0", "1.00000000"], ["-1"], ["10000"], ["100000000"], ["0.0001"], ["5"], ["-5"],
         ["50000"], ["1e40"], ["-1e40"], ["0.00000001"], ["NaN"], [None]],
    ),
    "double precision": (
        Family.FLOAT,
        [["0", "-0"], ["1"], ["-1"], ["0.1"], ["0.30000000000000004"], ["0.3"], ["5e-324"], ["1e308"], ["NaN"],
         ["Infinity"], ["-Infinity"], [None]],
    ),
    "real": (Family.FLOAT, [["0", "-0"], ["0.1"], ["0.10000001"], ["NaN"], ["Infinity"], [None]]),
    "boolean": (Family.BOOLEAN, [["t", "true"], ["f"], [None]]),
    "text": (
        Family.TEXT,
        [[""], [" "], ["NULL"], ["null"], ["a"], ["A"], ["a "], ["\u00e9"], ["e\u0301"], [","], ["()"], ['"'], ["\\"],
         ["\\N"], [None]],
    ),
    "character varying(10)": (Family.TEXT, [[""], [" "], ["a"], ["A"], [None]]),
    "character(4)": (Family.CHAR, [["", " "], ["a", "a  "], ["A"], [" a"], [None]]),
    "bytea": (Family.BYTES, [["\\x"], ["\\x00"], ["\\x0000"], ["\\xff"], ["\\x5c78"], [None]]),
    "date": (Family.DATE, [["2000-01-01"], ["2000-01-02"], ["0044-03-15 BC"], ["infinity"], ["-infinity"], [None]]),
    "time": (Family.TIME, [["00:00:00"], ["24:00:00"], ["00:00:00.000001"], ["01:11:34.967296"], [None]]),
    "timetz": (Family.OTHER, [["10:00:00+00"], ["10:00:00+01"], ["11:00:00+01"], [None]]),
    "timestamp": (
        Family.TIMESTAMP,
        [["2000-01-01 00:00:00.000001"], ["2000-01-01 01:11:34.967296"], ["2000-01-01 01:11:34.967297"],
         ["1999-12-31 23:59:59.999999"], ["infinity"], [None]],
    ),
    "timestamptz": (
        Family.TIMESTAMPTZ,
        [["2000-01-01 00:00:00.000001+00", "2000-01-01 02:00:00.000001+02"], ["2000-01-01 01:11:34.967297+00"],
         ["-infinity"], ["infinity"], [None]],
    ),
    "interval": (Family.INTERVAL, [["1 day"], ["24 hours"], ["1 mon"], ["30 days"], ["00:00:00"], [None]]),
    "uuid": (
        Family.UUID,
        [["00000000-0000-0000-0000-000000000000"],
         ["6F1C1E0A-8D2B-4F57-9A3C-0D9E8B7A6C5D", "6f1c1e0a8d2b4f579a3c0d9e8b7a6c5d"], [None]],
    ),
    "jsonb": (
        Family.JSON,
        [['{"a":1}'], ['{"a":-1}'], ["[[1,2]]"], ["[[1],2]"], ['{"a":{"b":1,"c":2}}', '{"a": {"c":2, "b":1}}'],
         ['{"a":{"b":1},"c":2}'], ["[]"], ["{}"], ["null"], ['""'], ['"null"'], ["1"], ['"1"'], [None]],
    ),
    "json": (Family.JSON, [['{"a":1}'], ["{}"], ["null"], [None]]),
    "integer[]": (
        Family.ARRAY, [["{}"], ["{1,2,3,4}"], ["{{1,2},{3,4}}"], ["[0:3]={1,2,3,4}"], ["{NULL}"], ["{0}"], [None]],
    ),
    "text[]": (Family.ARRAY, [["{}"], ['{""}'], ["{NULL}"], ['{"NULL"}'], ['{"a,b"}'], ["{a,b}"], [None]]),
    "numeric[]": (Family.ARRAY, [["{5}"], ["{-5}"], ["{NaN}"], [None]]),
    "int4range": (Family.OTHER, [["[1,3)", "[1,2]"], ["empty"], ["[1,)"], ["(,3)"], [None]]),
    "inet": (Family.OTHER, [["10.0.0.1"], ["10.0.0.1/8"], ["::1"], [None]]),
    "bit varying": (Family.OTHER, [[""], ["0"], ["00"], ["1"], [None]]),
    "money": (Family.OTHER, [["1.00"], ["-1.00"], ["0"], [None]]),
    '"char"': (Family.OTHER, [["a"], ["b"], [None]]),
    "mood": (Family.ENUM, [["happy"], ["sad"], [None]]),
}  # fmt: skip
INFINITE: Groups = [["Infinity"], ["-Infinity"]]  # numeric infinities exist since 14
KEYS = (1, -4294967296)


def hashes(sessions: Sessions, declared: str, groups: Groups, scheme: RowForm, key: int) -> list[list[int]]:
    """The row hash, unsigned, of a row (key, value) for each value of each group."""
    table = Table(
        TableName("", "x"),
        (Column("id", Family.INTEGER, "bigint"), Column("v", HOSTILE[declared][0], declared)),
        ("id",),
    )
    kind = "public.mood" if declared == "mood" else declared
    values = f"select %s::bigint id, u.v::{kind} v, u.i from unnest(%s::text[]) with ordinality u(v, i)"
    sql = f"select ({row_hash(table, sessions.quote, scheme)})::text from ({values}) x order by i"
    with sessions.borrow("hashing") as session:
        found = [int(h) % MODULUS for (h,) in session.all(sql, (key, [value for group in groups for value in group]))]
    numbers = iter(found)
    return [list(itertools.islice(numbers, len(group))) for group in groups]


@pytest.fixture(scope="module")
def moody(versioned_server: Cluster) -> Cluster:
    """A server with an enum. Its OID differs from server to server, its hash must not."""
    for n in range(versioned_server.binaries.version):
        versioned_server.sql(f"create type public.unrelated_{n} as enum ('x')")
        versioned_server.sql(f"drop type public.unrelated_{n}")
    versioned_server.sql("drop type if exists public.mood")
    versioned_server.sql("create type public.mood as enum ('sad', 'happy')")
    return versioned_server


@pytest.mark.postgres
@pytest.mark.parametrize("scheme", RowForm)
def test_hostile_values_stay_apart_everywhere(moody: Cluster, scheme: RowForm) -> None:
    version = moody.binaries.version
    if scheme is RowForm.RECORD and version < 14:
        return
    sessions = Sessions(moody.url())
    told: dict[str, dict[str, str]] = {}
    for declared, (_family, groups) in HOSTILE.items():
        if declared == "numeric" and version >= 14:
            groups = groups + INFINITE
        matrix = [hashes(sessions, declared, groups, scheme, key) for key in KEYS]
        for row in matrix:
            assert all(len(set(of_group)) == 1 for of_group in row), f"{declared}: spellings of one value differ"
        first, second = ([of_group[0] for of_group in row] for row in matrix)
        for (a, b), (x, y) in itertools.combinations(zip(first, second, strict=True), 2):
            assert a != x, f"{declared}: two values share a hash"
            assert (a + y) % MODULUS != (x + b) % MODULUS, f"{declared}: an exchange between rows is not seen"
        told[declared] = {str(group[0]): f"{h:016x}" for group, h in zip(groups, first, strict=True)}
    sessions.close()
    golden = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
    if os.environ.get("TRUEUP_REWRITE_GOLDEN") == "1":
        golden[scheme.value] = golden.get(scheme.value, {}) | told
        GOLDEN.write_text(json.dumps(golden, indent=1, ensure_ascii=False, sort_keys=True) + "\n")
    for declared, of_type in told.items():
        known = golden[scheme.value][declared]
        assert of_type == {value: known[value] for value in of_type}, f"{declared} hashes otherwise on {version}"


@pytest.mark.postgres
@pytest.mark.parametrize("scheme", RowForm)
@pytest.mark.parametrize(
    ("narrow", "wide", "spelled"),
    [
        ("smallint", "bigint", ["0", "-1", "32767", None]),
        ("integer", "bigint", ["0", "-1", "2147483647", "-2147483648", None]),
        ("character varying(10)", "text", ["", "a", None]),
    ],
)
def test_a_wider_type_hashes_the_same_value_alike(
    postgres_server: Servers, scheme: RowForm, narrow: str, wide: str, spelled: list[str | None]
) -> None:
    sessions = Sessions(postgres_server(15).url())
    groups = [[text] for text in spelled]
    assert hashes(sessions, narrow, groups, scheme, 1) == hashes(sessions, wide, groups, scheme, 1)
    sessions.close()
