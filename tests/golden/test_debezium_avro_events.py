"""Recorded events with schemas, written as the Avro converters write them: decoded, they are the same events."""

from __future__ import annotations

import json

import pytest
from fixtures.avro_events import Registered
from golden.recorded import DATA, DEFAULTS, M2, Message, described, recorded
from golden.test_debezium_values import COLUMNS, MODES

from connectors.debezium.avro import AvroReader
from connectors.debezium.decoder import Decoder
from connectors.debezium.event import Event, RowEvent
from connectors.debezium.modes import Modes
from connectors.debezium.source import POSTGRES, Source
from connectors.debezium.source_binlog import BinlogSource
from verifier.table import Table, TableName


def both(
    message: Message, prefix: str, modes: Modes, table: Table, source: Source, registry: Registered
) -> tuple[Event, Event]:
    """The event from its JSON, and from Avro."""
    tables = {table.name: table}
    plain = Decoder(prefix, modes, tables.get, source).decode(message.topic, message.key, message.value)
    reader = AvroReader(registry)
    key, value = (raw and registry.write(raw) for raw in (message.key, message.value))
    return plain, Decoder(prefix, modes, tables.get, source, reader.read).decode(message.topic, key, value)


@pytest.mark.parametrize(("prefix", "modes"), [("m1", DEFAULTS), ("m2", M2)])
def test_a_session_of_mariadb(prefix: str, modes: Modes) -> None:
    table, _ = described("mariadb")[TableName("inv", "t")]
    registry = Registered()
    for message in recorded(f"mariadb_{prefix}"):
        plain, avro = both(message, prefix, modes, table, BinlogSource(mariadb=True), registry)
        assert avro == plain
    assert len(registry.schemas) > 3


@pytest.mark.parametrize("mode", MODES)
def test_every_type_of_postgresql(mode: str) -> None:
    table = Table(TableName("public", "t"), tuple(COLUMNS), ("id",))
    modes = Modes(MODES[mode].decimal, "nanoseconds", MODES[mode].binary, unknown_types=MODES[mode].unknown_types)
    for topic, key, value in json.loads((DATA / "debezium_pg_schemas.json").read_text())[mode]:
        whole = json.loads(value)
        block = {"id": "7:9", "total_order": 1, "data_collection_order": 1}
        if whole["payload"].get("transaction") is None:  # recorded without transactions
            whole["payload"]["transaction"] = block
        message = Message(topic, key.encode(), json.dumps(whole).encode())
        plain, avro = both(message, mode, modes, table, POSTGRES, Registered())
        assert isinstance(plain, RowEvent)
        assert plain.change is not None
        assert plain.change.after is not None
        assert len(plain.change.after) > 30
        assert avro == plain
