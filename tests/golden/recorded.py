"""Recorded sessions of the binlog connectors, and what the servers print of the same rows.

`debezium_mariadb_m1.json`, `_m2.json`: the MySQL connector 3.6.3 on MariaDB without GTIDs, every column type, with
schemas; defaults, and the modes string, isostring, hex and precise. `*_customers.json`: the MariaDB connector 3.5.0 and
the MySQL connector 3.6.1 with GTIDs, defaults, without schemas. `*_texts.json`: the rows as trueup reads them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connectors.debezium.modes import Modes
from verifier.table import Column, Family, Table, TableName

DATA = Path(__file__).parent / "data"
DEFAULTS = Modes(time="adaptive_time_microseconds", time_adjuster=True)
M2 = Modes("string", "isostring", "hex", bigint_unsigned="precise", time_adjuster=True)


@dataclass(frozen=True, slots=True)
class Message:
    topic: str
    key: bytes | None
    value: bytes | None

    @property
    def payload(self) -> dict[str, Any]:
        parsed = json.loads(self.value or b"{}")
        return parsed["payload"] if parsed.keys() == {"schema", "payload"} else parsed


def recorded(name: str) -> list[Message]:
    """A list of [topic, key, value], or of objects; without what came before the stream began."""
    found = json.loads((DATA / f"debezium_{name}.json").read_text())
    if isinstance(found[0], dict):
        order = sorted(found, key=lambda one: (one["topic"] != "goldplain", one["topic"], one["offset"]))
        return [Message(one["topic"], _bytes(one["key"]), _bytes(one["value"])) for one in order]
    return [
        Message(topic, key and key.encode(), value and value.encode())
        for topic, key, value in found
        if not topic.startswith("----") and not topic.endswith(".notif")
    ]


def _bytes(value: object) -> bytes | None:
    return None if value is None else json.dumps(value, ensure_ascii=False).encode()


def described(engine: str) -> dict[TableName, tuple[Table, list[dict[str, str | None]]]]:
    """The tables with their rows in key order of the recording."""
    found = {}
    for name, told in json.loads((DATA / f"debezium_{engine}_texts.json").read_text()).items():
        columns = tuple(
            Column(column, Family(family), declared, nullable, collation)
            for column, family, declared, nullable, collation in told["columns"]
        )
        found[TableName.parse(name)] = Table(TableName.parse(name), columns, tuple(told["key"])), told["rows"]
    return found
