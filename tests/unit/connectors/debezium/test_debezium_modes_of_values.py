"""What a column's value becomes in each converter mode: told as the server prints it, or not told."""

from __future__ import annotations

import base64
import json

import pytest

from connectors.debezium import binlog_types, binlog_values, types, values
from connectors.debezium.modes import Modes
from connectors.debezium.values import UNKNOWN, Number
from verifier.table import Column, Family

BINLOG = Modes(time="adaptive_time_microseconds")
_FAMILIES = {"int": Family.INTEGER, "bigint": Family.INTEGER, "tinyint": Family.INTEGER, "year": Family.INTEGER}


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def binlog(declared: str, value: object, modes: Modes = BINLOG, *, nullable: bool = True) -> object:
    family = _FAMILIES.get(declared.partition("(")[0].partition(" ")[0], Family.OTHER)
    column = Column("c", family, declared, nullable)
    return binlog_values.decode(_json(value), binlog_types.of_column(column), modes)


def postgres(declared: str, value: object, modes: Modes) -> object:
    return values.decode(_json(value), types.of_column(Column("c", Family.OTHER, declared)), modes)


def _json(value: object) -> object:
    return json.loads(json.dumps(value), parse_float=Number)


WKB = bytes.fromhex("0101000000000000000000f83f0000000000000440")


@pytest.mark.parametrize(
    ("declared", "value", "modes", "told"),
    [
        ("bigint unsigned", -1, BINLOG, "18446744073709551615"),
        ("bigint(20) unsigned", b64(b"\0" + b"\xff" * 8), Modes(bigint_unsigned="precise"), "18446744073709551615"),
        ("bigint", -1, BINLOG, "-1"),
        ("int(11)", 7, BINLOG, "7"),
        ("tinyint(1)", True, BINLOG, UNKNOWN),  # a converter's doing: any number but 0 is true
        ("bit(1)", True, BINLOG, "1"),
        ("bit(12)", b64(b"\x01\x0b"), BINLOG, "101100000001"),
        ("year", 1900, BINLOG, "0"),
        ("year(4)", 2155, BINLOG, "2155"),
        ("year", 1899, BINLOG, UNKNOWN),
        ("float", 1.1, BINLOG, "1.100000023841858"),
        ("double", 1e-7, BINLOG, "1e-07"),
        ("double", 5, BINLOG, "5.0"),
        ("decimal(10,2)", b64((-1230).to_bytes(2, "big", signed=True)), BINLOG, "-12.30"),
        ("decimal(10,2)", "12.30", Modes(decimal="string"), "12.30"),
        ("decimal(10,2)", 12.3, Modes(decimal="double"), UNKNOWN),
        ("decimal(10,2)", 12.3, Modes(number_format="numeric"), "12.30"),
        ("decimal(10,0)", 12, Modes(number_format="numeric"), "12"),
        ("decimal(10,2)", 12.345, Modes(number_format="numeric"), UNKNOWN),
        ("char(5)", "ab  ", BINLOG, "ab"),
        ("varchar(9)", "ab  ", BINLOG, "ab  "),
        ("binary(4)", b64(b"\xff"), BINLOG, "\\xff000000"),
        ("binary(2)", "ff00", Modes(binary="hex"), "\\xff00"),
        ("varbinary(9)", "-_8=", Modes(binary="base64-url-safe"), "\\xfbff"),
        ("blob", "+/8=", Modes(binary="base64"), "\\xfbff"),
        ("enum('a','c,d')", "c\\,d", BINLOG, "c,d"),
        ("enum('a','c,d')", "c,d", BINLOG, "c,d"),
        ("enum('a','c,d','c\\,d')", "c\\,d", BINLOG, UNKNOWN),
        ("enum('it''s')", "it's", BINLOG, "it's"),
        ("enum('a','b')", "", BINLOG, ""),
        ("set('x','y')", "x,y", BINLOG, "x,y"),
        ("json", '{"k":[1,"a"]}', BINLOG, '{"k":[1,"a"]}'),
        ("json", '{"k":1.10}', BINLOG, UNKNOWN),
        ("json", '["2024-02-29 10:00:00.000000"]', BINLOG, UNKNOWN),
        ("date", 19782, BINLOG, "2024-02-29"),
        ("date", "2024-02-29Z", Modes(time="isostring"), "2024-02-29"),
        ("date", -354285, BINLOG, "1000-01-01"),
        ("date", None, BINLOG, UNKNOWN),  # or the zero date
        ("date", 4_000_000, BINLOG, UNKNOWN),
        ("time", -3_020_399_000_000, BINLOG, "-838:59:59"),
        ("time(3)", 47_655_123_000, BINLOG, "13:14:15.123"),
        ("time(6)", 47_655_123_456, Modes(time="microseconds"), "13:14:15.123456"),
        ("time(6)", 47_655_123_456_000, Modes(time="nanoseconds"), "13:14:15.123456"),
        ("time(3)", 47_655_123, Modes(time="connect"), "13:14:15.123"),
        ("time(6)", 47_655_123, Modes(time="connect"), UNKNOWN),
        ("time", 47_655_000, Modes(time="adaptive"), "13:14:15"),
        ("time", "13:14:15Z", Modes(time="isostring"), "13:14:15"),
        ("time", None, Modes(time="isostring"), UNKNOWN),  # or more than a day
        ("time", None, BINLOG, None),
        ("datetime", 1_709_212_455_000, BINLOG, "2024-02-29 13:14:15"),
        ("datetime(6)", 1_709_212_455_123_456, BINLOG, "2024-02-29 13:14:15.123456"),
        ("datetime(2)", 1_709_212_455_120_000, Modes(time="microseconds"), "2024-02-29 13:14:15.12"),
        ("datetime(6)", 1_709_212_455_123, Modes(time="connect"), UNKNOWN),
        ("datetime(3)", "2024-02-29T13:14:15.12Z", Modes(time="isostring"), "2024-02-29 13:14:15.120"),
        ("timestamp(3)", "2024-02-29T11:14:15.12Z", BINLOG, "2024-02-29 11:14:15.120+00"),
        ("timestamp", "2024-02-29T11:14:15Z", Modes(time="connect"), "2024-02-29 11:14:15+00"),
        ("point", {"x": 1.5, "y": 2.5, "wkb": b64(WKB), "srid": None}, BINLOG, "00000000" + WKB.hex().upper()),
        ("geometry", {"wkb": b64(WKB), "srid": 4326}, BINLOG, "E6100000" + WKB.hex().upper()),
        ("geometry", {"wkb": None, "srid": 4326}, BINLOG, UNKNOWN),
        ("uuid", "3e11fa47-71ca-41e1-9e33-c80aa9429562", BINLOG, "3e11fa47-71ca-41e1-9e33-c80aa9429562"),
        ("uuid", "PhH6R3HKQeGeM8gKqUKVYg==", BINLOG, UNKNOWN),
        ("inet6", "2001:db8:0:0::1", BINLOG, "2001:db8::1"),
        ("vector(3)", [1.0, 2.0, 3.0], BINLOG, UNKNOWN),
    ],
)  # fmt: skip
def test_mysql_and_mariadb(declared: str, value: object, modes: Modes, told: object) -> None:
    assert binlog(declared, value, modes) == told


def test_the_epoch_of_a_column_without_null_may_be_the_zero_date() -> None:
    assert binlog("date", 0, nullable=False) is UNKNOWN
    assert binlog("datetime", 0, nullable=False) is UNKNOWN
    assert binlog("timestamp", "1970-01-01T00:00:00Z", nullable=False) is UNKNOWN
    assert binlog("date", 0) == "1970-01-01"


def test_years_that_the_time_adjuster_makes_are_not_told() -> None:
    adjusted = Modes(time="adaptive_time_microseconds", time_adjuster=True)
    assert [binlog("date", day, adjusted) for day in (0, 36_524, 36_525, -1)] == [
        UNKNOWN, UNKNOWN, "2070-01-01", "1969-12-31",
    ]  # fmt: skip
    assert binlog("timestamp", "2024-02-29T11:14:15Z", adjusted) == "2024-02-29 11:14:15+00"


@pytest.mark.parametrize(
    ("declared", "value"),
    [
        ("int", "7"), ("bigint", "7"), ("decimal(5,2)", 7), ("double", "7"), ("date", {}), ("time", []), ("blob", "!!"),
        ("bit(4)", 5), ("point", "x"), ("geometry", {"wkb": "AA==", "srid": -1}), ("year", "x"), ("inet4", "no"),
        ("datetime", 1.5), ("time", 1), ("enum('a')", 1), ("timestamp", 7),
    ],
)  # fmt: skip
def test_what_such_a_column_cannot_hold_is_refused_or_not_told(declared: str, value: object) -> None:
    try:
        assert binlog(declared, value) is UNKNOWN
    except (ValueError, TypeError, ArithmeticError):
        return


@pytest.mark.parametrize(
    ("declared", "value", "modes", "told"),
    [
        ("hstore", '{"k":"v","n":null,"":"a\\"b\\\\"}', Modes(), '""=>"a\\"b\\\\", "k"=>"v", "n"=>NULL'),
        ("hstore", {"bb": "1", "a": "é"}, Modes(hstore="map"), '"a"=>"é", "bb"=>"1"'),
        ("hstore", {"__debezium_unavailable_value": "__debezium_unavailable_value"}, Modes(), UNKNOWN),
        ("point", {"x": 1.5, "y": -2.0, "wkb": None, "srid": None}, Modes(), "(1.5,-2)"),
        ("circle", "3c28312e302c322e30292c332e354532313e", Modes(binary="hex", unknown_types=True), "<(1,2),3.5e+21>"),
        ("box", "AA==", Modes(), UNKNOWN),
        ("numeric(10,2)", 12.3, Modes(number_format="numeric"), "12.30"),
        ("numeric(10,2)", 12.3, Modes(), UNKNOWN),
        ("numeric", {"scale": 1, "value": "Dw=="}, Modes(), UNKNOWN),  # 1.5, or 1.50
        ("time without time zone", 47_655_123_456, Modes(time="adaptive_time_microseconds"), "13:14:15.123456"),
        ("time(3) without time zone", 47_655_123_000, Modes(time="adaptive_time_microseconds"), "13:14:15.123"),
        ("timestamp(3) without time zone", 1_709_212_455_123, Modes(), "2024-02-29 13:14:15.123"),
        ("timestamp without time zone", 1_709_212_455_123_456_000, Modes(time="nanoseconds"),
         "2024-02-29 13:14:15.123456"),
        ("timestamp without time zone", 1_709_212_455_123, Modes(time="connect"), UNKNOWN),
        ("timestamp without time zone", None, Modes(time="nanoseconds"), UNKNOWN),  # or beyond 1677 to 2262
        ("timestamp without time zone", None, Modes(time="nanoseconds", failures="fail"), None),
        ("timestamp without time zone", {"epoch": 1}, Modes(time="structured"), TypeError),
        ("bytea", "-_8=", Modes(binary="base64-url-safe"), "\\xfbff"),
        ("interval", 1_000_000, Modes(), UNKNOWN),
        ("money", "1234.56", Modes(decimal="string"), UNKNOWN),  # its text depends on the server's locale
    ],
)  # fmt: skip
def test_postgresql(declared: str, value: object, modes: Modes, told: object) -> None:
    if isinstance(told, type):
        with pytest.raises(told):
            postgres(declared, value, modes)
    else:
        assert postgres(declared, value, modes) == told


@pytest.mark.parametrize(
    ("declared", "value", "told"),
    [
        ("public.citext", "CiText", "CiText"),
        ('"Own".ltree', "a.b", "a.b"),
        ("ext.hstore", {"k": "v", "n": None}, '"k"=>"v", "n"=>NULL'),
        ("public.citext[]", ["a"], "{a}"),
        ("shop.mood", "sad", UNKNOWN),
    ],
)
def test_types_of_extensions_are_known_in_whatever_schema_they_are(declared: str, value: object, told: object) -> None:
    assert postgres(declared, value, Modes(hstore="map")) == told
