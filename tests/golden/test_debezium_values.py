"""Recorded events of every column type in every converter mode, against what PostgreSQL itself prints.

`debezium_pg_texts.json` holds `column::text` of the same rows, read from PostgreSQL 15 with TimeZone UTC.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from connectors.debezium.modes import Modes
from connectors.debezium.types import of_column
from connectors.debezium.values import UNKNOWN, Number, decode
from verifier.table import Column, Family

DATA = Path(__file__).parent / "data"
TEXTS = json.loads((DATA / "debezium_pg_texts.json").read_text())
EVENTS = json.loads((DATA / "debezium_pg_payloads.json").read_text(), parse_float=Number)
SCHEMAS = json.loads((DATA / "debezium_pg_schemas.json").read_text())

ALL = {"failures": "fail", "unknown_types": True}
MODES = {
    "a1": Modes(failures="fail"),
    "a2": Modes("string", "isostring", "hex", "string", **ALL),
    "a3": Modes("string", "microseconds", "base64", "string", failures="fail"),
    "a4": Modes("double", "connect", failures="fail"),
    "a6": Modes("string", "microseconds", "base64", "string", **ALL),
}
FAMILIES = {
    "comp": Family.COMPOSITE,
    "mood": Family.ENUM,
    "posint": Family.INTEGER,
    "integer": Family.INTEGER,
    "bigint": Family.INTEGER,
}
COLUMNS = [Column(name, FAMILIES.get(declared, Family.OTHER), declared) for name, declared, _, _ in TEXTS["columns"]]

NEVER = {
    "vbit",
    "vbitn",
    "m",
    "ttz",
    "ea",  # told with the message schema alone
}
"""Lost, rounded or spelled another way by the connector in every mode: never told."""
NOT_TOLD = {
    "a1": NEVER | {"n", "iv", "nm"},
    "a2": NEVER,
    "a3": NEVER | {"nm"},
    "a4": NEVER | {"n", "n102", "n380", "iv", "na", "t", "ts", "ts6", "nm"},
    "a6": NEVER,
}


def told(mode: str, snapshot: bool) -> list[tuple[int, str, object, str | None]]:
    """(row, column, decoded, the server's text) for every column that the events carry."""
    events = [event for event in EVENTS[mode] if event["op"] == ("r" if snapshot else "u")]
    found = []
    for row, event in enumerate(events):
        for column in COLUMNS:
            if column.name in event["after"] and column.name != "b":  # b was flipped after the texts were read
                decoded = decode(event["after"][column.name], of_column(column), MODES[mode])
                found.append((row + 1, column.name, decoded, TEXTS["rows"][row][column.name]))
    return found


@pytest.mark.parametrize("mode", MODES)
def test_what_is_told_is_the_servers_own_text(mode: str) -> None:
    wrong = [(row, name, got, want) for row, name, got, want in told(mode, False) if got is not UNKNOWN and got != want]
    silent_nulls = [(3, "n"), (3, "n102")] if mode == "a1" else []
    assert [(row, name) for row, name, _, _ in wrong if (row, name) not in silent_nulls] == []


@pytest.mark.parametrize("mode", MODES)
def test_ordinary_values_are_told_unless_the_mode_distorts_them(mode: str) -> None:
    untold = {name for row, name, got, _ in told(mode, False) if row == 1 and got is UNKNOWN}
    carried = {name for row, name, _, _ in told(mode, False)}
    assert untold == NOT_TOLD[mode] & carried


def test_extremes_that_cannot_be_told_are_unknown() -> None:
    untold = {
        (row, name) for row, name, got, _ in told("a3", False) if row > 1 and got is UNKNOWN and name not in NEVER
    }
    names = {(row, "nm") for row in range(2, 8)}
    assert untold == names | {(3, "d"), (4, "d")}


def test_without_failing_conversions_a_null_decimal_may_be_nan() -> None:
    lenient = Modes()
    (event,) = [event for event in EVENTS["a1"] if event["op"] == "u" and event["after"]["id"] == 3]
    column = next(column for column in COLUMNS if column.name == "n")
    assert event["after"]["n"] is None
    assert TEXTS["rows"][2]["n"] == "NaN"
    assert decode(event["after"]["n"], of_column(column), lenient) is UNKNOWN


@pytest.mark.parametrize("mode", ["a1", "a3", "a4", "a6", "a2"])
def test_the_message_schema_overrides_the_mode(mode: str) -> None:
    """Decoded with the schema of the message and a wrong mode for times."""
    decimal = MODES[mode].decimal
    wrong_modes = Modes(decimal, "nanoseconds", MODES[mode].binary)
    for row, (_, _, text) in zip((1, 3), SCHEMAS[mode], strict=True):
        message = json.loads(text, parse_float=Number)
        after = next(field for field in message["schema"]["fields"] if field["field"] == "after")
        schemas = {field["field"]: field for field in after["fields"]}
        for name in ("d", "t", "t3", "t0", "ts", "ts0", "ts3", "ts6", "tstz", "n102", "n380", "i8"):
            column = next(column for column in COLUMNS if column.name == name)
            got = decode(message["payload"]["after"][name], of_column(column, schemas[name]), wrong_modes)
            want = TEXTS["rows"][row - 1][name]
            if got is not UNKNOWN and not (want == "NaN" and got is None):
                assert got == want, (name, row)
            elif row == 1:
                assert mode == "a4", name
