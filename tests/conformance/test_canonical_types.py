"""The extremes of every type, in the form in which they may meet another engine's, are hashed as the reference does.

Many of these values exist in one engine only. They must not be equal to any other, and never an error.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from fixtures.typed_servers import ENGINES, Slot, TypedServer, TypedServers
from hypothesis import strategies as st

from verifier.encoding import canonical_hash, encode, field
from verifier.keyrange import ALL
from verifier.table import Column, Family, Scheme

UUID = "6F1C1E0A-8D2B-4F57-9A3C-0D9E8B7A6C5D"
BARE = UUID.replace("-", "")
POINT = struct.pack("<IBIdd", 0, 1, 1, 1.0, -2.0)
"""As the servers store it: number of the reference system, byte order, kind, x and y."""
WITHOUT_XML = ("postgresql-18",)  # the server of the wheel is built without libxml


@dataclass(frozen=True, slots=True)
class Case:
    """Values of a type (the first of `equal` pairs are one value), and the form in which they are compared."""

    declared: str
    values: Sequence[Any]
    form: Family | None = None
    equal: Sequence[tuple[int, int]] = ()
    since: int = 0


POSTGRES = (
    Case("smallint", ["0", "-32768", "32767"]),
    Case("oid", ["0", "4294967295"]),
    Case("integer", ["0", "1", "2"], Family.BOOLEAN),
    Case("bigint", ["0", "-9223372036854775808", "9223372036854775807"], Family.DECIMAL),
    Case(
        "numeric",
        ["0", "-0.00", "1.5", "1.50", "1e40", "-1e-30", "NaN", "100", "1e100"],
        equal=[(0, 1), (2, 3)],
    ),
    Case("numeric", ["Infinity", "-Infinity", "NaN"], since=14),
    Case(
        "double precision",
        ["0", "-0", "0.1", "5e-324", "1.7976931348623157e308", "NaN", "Infinity", "-Infinity", "1e15", "1e-5"],
        equal=[(0, 1)],
    ),
    Case("real", ["0", "-0", "0.1", "1e-45", "3.4028235e38", "NaN", "Infinity", "16777216"], equal=[(0, 1)]),
    Case("boolean", ["t", "f"]),
    Case("bit(1)", ["0", "1"], Family.BOOLEAN),
    Case("text", ["", "-", " a ", "é", "e\u0301", "\U0001f600", "\u200b"]),
    Case("character(4)", ["", "a", "a b", " a"]),
    Case("text", ["a", "a  ", "", " "], Family.CHAR, equal=[(0, 1), (2, 3)]),
    Case("bytea", ["\\x", "\\x00", "\\x00ff"]),
    Case("date", ["2024-02-29", "0044-03-15 BC", "infinity", "-infinity", "0001-01-01", "5874897-12-31"]),
    Case("time", ["24:00:00", "00:00:00", "12:00:00.5", "12:00:00.000001"]),
    Case("time(3)", ["12:00:00.5", "12:00:00.050"]),
    Case("time with time zone", ["10:00:00+01", "10:00:00+02"]),
    Case("timestamp", ["2024-01-01", "infinity", "0044-03-15 10:00:00.5 BC", "294276-12-31 23:59:59.999999"]),
    Case("timestamp", ["2024-01-01", "infinity", "0044-03-15 10:00:00.5 BC"], Family.TIMESTAMPTZ),
    Case(
        "timestamptz",
        ["2024-01-01 00:00+02", "2023-12-31 22:00+00", "infinity", "-infinity", "0044-03-15 10:00:00.5+00 BC"],
        equal=[(0, 1)],
    ),
    Case(
        "interval",
        ["1 mon", "30 days", "1 day", "24 hours", "14 mons", "1 year 2 mons", "-1 mons +3 days -00:00:00.000001", "0"],
        equal=[(4, 5)],
    ),
    Case("interval", ["infinity", "-infinity"], since=17),
    Case("time", ["10:00:00", "24:00:00"], Family.INTERVAL),
    Case("uuid", [UUID, "00000000-0000-0000-0000-000000000000"]),
    Case(
        "text",
        [UUID, "{" + BARE + "}", f" {BARE.lower()} ", "\\x" + BARE, "junk, x", "", "-", "é", UUID + "\n"],
        Family.UUID,
        equal=[(0, 1), (0, 2), (0, 3)],
    ),
    Case("character(36)", [UUID, "x"], Family.UUID),
    Case("bytea", ["\\x" + BARE, "\\x00", "\\x"], Family.UUID),
    Case(
        "inet", ["10.0.0.1", "::ffff:10.0.0.1", "10.0.0.1/8", "::1", "::ffff:1.2.3.4/120", "0.0.0.0/0"], equal=[(0, 1)]
    ),
    Case("cidr", ["10.0.0.0/8", "10.1.2.3/32", "2001:db8::/32"]),
    Case("text", ["b,a", "a,b", "", "a,,b", "é,z,Z"], Family.SET, equal=[(0, 1)]),
    Case("bit(5)", ["10101", "00000"]),
    Case("bit varying", ["", "1", "01", "0011"]),
    Case("integer[]", ["{1,2}", "{{1,2}}", "{}", "{NULL}"]),
    Case("text[]", ["{a,b}", '{"a,b"}', '{""}', "{NULL}", '{"NULL"}']),
    Case("int4range", ["[1,3)", "[1,2]", "empty", "[1,)"], equal=[(0, 1)]),
    Case("mood", ["sad", "Happy"]),
    Case("fullname", ["(a,b)", '("a,b",)', "(,)", '("",)']),
    Case("price", ["1.5", "1.50", "2"], equal=[(0, 1)]),
    Case("money", ["1.00", "-1.00"]),
    Case("xml", ["<a> b</a>", "<a/>", "é"]),
    Case("xml", ["<a/>"], Family.TEXT),
)
MYSQL = (
    Case("tinyint", ["-128", "127"]),
    Case("mediumint unsigned", ["0", "16777215"]),
    Case("bigint unsigned", ["18446744073709551615", "0"]),
    Case("int(5) unsigned zerofill", ["5", "12345"]),
    Case("tinyint(1)", ["0", "1", "2", "-1"]),
    Case("int", ["0", "1", "2"], Family.BOOLEAN),
    Case("bit(1)", [0, 1], Family.BOOLEAN),
    Case("year", [0, 2024, 1901]),
    Case("decimal(10,4)", ["1.5", "1.50", "0", "-0.0001", "100", "999999.9999"], equal=[(0, 1)]),
    Case("decimal(8,2) unsigned zerofill", ["1.50", "100"]),
    Case("decimal(65,30)", ["12345678901234567890123456789012345.123456789012345678901234567890", "0"]),
    Case(
        "double", [0.0, -0.0, 0.1, 5e-324, 1.7976931348623157e308, 1e15, 1e-5, -2.2250738585072014e-308], equal=[(0, 1)]
    ),
    Case("float", [0.0, -0.0, 0.1, 1e-45, 3.4028234e38, 16777216.0, 123456.7, -1.17549435e-38], equal=[(0, 1)]),
    Case("varchar(40)", ["", "-", " a ", "a ", "é", "e\u0301", "\U0001f600", "a\0b", "a", "A"]),
    Case("varchar(10) character set latin1", ["é", "ÿ", ""]),
    Case("varchar(10) character set utf16", ["é\U0001f600", ""]),
    Case("char(4) character set sjis", ["表", "a"]),
    Case("char(4)", ["a", "a  ", "", " a"], equal=[(0, 1)]),
    Case("varchar(5)", ["a", "a  ", "", " "], Family.CHAR, equal=[(0, 1), (2, 3)]),
    Case("varbinary(20)", [b"", b"\0", b"\0\xff", b"\\"]),
    Case("binary(4)", [b"ab", b"ab\0\0"], equal=[(0, 1)]),
    Case("date", ["2024-02-29", "0000-00-00", "2024-00-00", "2024-02-31", "0001-01-01", "9999-12-31"]),
    Case("time", ["24:00:00", "-838:59:59", "00:00:00", "-00:00:00", "838:59:59"], equal=[(2, 3)]),
    Case("time(6)", ["-00:00:00.000001", "10:00:00", "10:00:00.5", "838:59:58.999999"]),
    Case("datetime", ["2024-01-01 10:00:00", "0000-00-00 00:00:00", "2024-01-01 10:20:30"]),
    Case("datetime(6)", ["2024-01-01 10:00:00", "2024-01-01 10:00:00.000001", "0000-00-00"]),
    Case("datetime(3)", ["2024-01-01 10:20:30.5", "2024-01-01 10:20:30"], Family.TIMESTAMPTZ),
    Case("timestamp(2)", ["2024-01-01 10:20:30.5", "2024-01-01 10:20:30", "0000-00-00 00:00:00"]),
    Case(
        "varchar(50)",
        [
            UUID,
            "{" + BARE + "}",
            f" {BARE.lower()} ",
            "\\x" + BARE,
            "junk,",
            "",
            "-",
            UUID + "\n",
            UUID[:-2] + "\ufb00",
        ],
        Family.UUID,
        equal=[(0, 1), (0, 2), (0, 3)],
    ),
    Case("char(36) character set latin1", [UUID, UUID.lower(), "é"], Family.UUID, equal=[(0, 1)]),
    Case("binary(16)", [bytes(range(16)), bytes(16)], Family.UUID),
    Case("varbinary(20)", [bytes(range(16)), b"", b"\0"], Family.UUID),
    Case("enum('x','y','')", ["x", "y", ""]),
    Case("enum('é') character set latin1", ["é"]),
    Case("set('b','a','it''s','z%','ü')", ["", "a", "a,b", "b,a", "z%", "it's,ü,b"], equal=[(2, 3)]),
    Case("set('a','b')", ["b,a", "a,b", ""], equal=[(0, 1)]),
    Case("bit(12)", [5, 0, 4095]),
    Case("bit(64)", [2**64 - 1, 0]),
    Case("point", [POINT, b"\xe6\x10" + POINT[2:]]),
    Case("geometry", [POINT, POINT[:-1] + b"\x40"]),
)
MARIADB = (
    Case("uuid", [UUID, BARE], equal=[(0, 1)]),
    Case("inet6", ["::1", "::ffff:1.2.3.4", "2001:db8::", "::", "::1.2.3.4"]),
    Case("inet4", ["1.2.3.4", "0.0.0.0"]),
)


def cases_of(engine: str) -> tuple[Case, ...]:
    if engine.startswith("postgresql"):
        version = int(engine.rpartition("-")[2])
        return tuple(
            case for case in POSTGRES if case.since <= version and (case.declared != "xml" or engine not in WITHOUT_XML)
        )
    return MYSQL + (MARIADB if engine == "mariadb" else ())


@pytest.fixture(scope="module", params=ENGINES)
def server(request: pytest.FixtureRequest, typed_servers: TypedServers) -> TypedServer:
    found = typed_servers(request.param)
    if found.speaks_postgres:
        found.sql("drop type if exists fullname; create type fullname as (given text, family text)")
        found.sql("drop domain if exists price; create domain price as numeric(10,2) check (value > 0)")
    else:
        found.sql("set sql_mode = 'ALLOW_INVALID_DATES'")
    return found


def test_extremes_are_hashed_as_the_reference_does(server: TypedServer) -> None:
    wrong: list[str] = []
    for case in cases_of(server.engine):
        slot = Slot("v", case.declared, case.declared, st.nothing())
        server.make("extreme", [slot])
        server.write("extreme", [slot], [{"v": value} for value in (*case.values, None)])
        described = server.table("extreme")
        column = replace(described.column("v"), form=case.form)
        table = replace(described, columns=(described.column("id"), column), scheme=Scheme.CANONICAL)
        assert server.replica.canonical(column), case.declared
        hashes = server.replica.row_digests(table, ALL).value
        rows = server.replica.rows(table, list(hashes)).value
        for key, row in rows.items():
            if not hashes[key] == row.digest == canonical_hash(encode(table.columns, row.values)):
                wrong.append(f"{case.declared} as {column.meets_as.value}: {row.values['v']!r}")
        spelled = [rows[n,].values["v"] for n in range(len(rows))]
        wrong += [f"{case.declared}: {problem}" for problem in _apart(column, case, spelled)]
    assert wrong == []


def _apart(column: Column, case: Case, spelled: Sequence[str | None]) -> list[str]:
    """Values that the law merges and should not, and the other way round."""
    forms = [field(column.meets_as, text) for text in spelled]
    same = {frozenset({a, b}) for a in range(len(forms)) for b in range(a) if forms[a] == forms[b]}
    named = {frozenset({*pair}) for pair in case.equal}
    named |= {frozenset({x, y}) for a, x in case.equal for b, y in case.equal if a == b and x != y}
    return [f"{sorted(pair)} of {list(case.values)}" for pair in same ^ named]
