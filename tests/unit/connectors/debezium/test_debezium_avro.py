"""Avro in a registry's wire format: what is read, what is not, and what waits for the registry."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from fixtures.avro_events import Registered

from connectors.debezium.avro import PATIENCE_SECONDS, AvroReader, Unregistered
from connectors.debezium.avro_registry import SchemaRegistry
from connectors.debezium.decoder import Decoder
from connectors.debezium.event import Unreadable
from connectors.debezium.modes import RECOMMENDED
from verifier.errors import Forbidden, Misconfigured, Temporary, Unreachable

SCHEMA = {
    "type": "struct", "name": "p.public.t.Value", "optional": False,
    "fields": [
        {"type": "int16", "optional": True, "field": "small"},
        {"type": "bytes", "optional": True, "field": "n", "name": "org.apache.kafka.connect.data.Decimal",
         "version": 1, "parameters": {"scale": "2", "connect.decimal.precision": "10"}},
        {"type": "double", "optional": True, "field": "f"},
        {"type": "array", "items": {"type": "string", "optional": True}, "optional": True, "field": "words"},
    ],
}  # fmt: skip
ROW = {"small": 7, "n": "BM4=", "f": 0.1, "words": ["a", None]}
JSON = json.dumps({"schema": SCHEMA, "payload": ROW}).encode()


def test_a_message_is_what_it_would_be_in_json() -> None:
    registry = Registered()
    message = registry.write(JSON)
    reader = AvroReader(registry)
    schema, payload = reader.read(message)
    assert payload == {"small": 7, "n": "BM4=", "f": "0.1", "words": ["a", None]}
    assert (schema["type"], schema["name"]) == ("struct", "p.public.t.Value")
    fields = schema["fields"]
    assert isinstance(fields, list)
    assert fields[0] == {"type": "int16", "optional": True, "field": "small"}
    assert fields[1] == {
        "type": "bytes", "name": "org.apache.kafka.connect.data.Decimal", "optional": True, "field": "n",
        "parameters": {"scale": "2", "connect.decimal.precision": "10"},
    }  # fmt: skip
    assert fields[3]["items"] == {"type": "string", "optional": True}
    reader.read(message)
    assert registry.asked == 1


@pytest.mark.parametrize(
    "damage", [lambda m: m[:-1], lambda m: m + b"\0", lambda m: m[:4], lambda m: m[:5] + b"\xff" * 40]
)
def test_a_body_that_is_not_of_its_schema_is_unreadable(damage: object) -> None:
    registry = Registered()
    message = damage(registry.write(JSON))  # type: ignore[operator]
    decoder = Decoder("p", RECOMMENDED, lambda _: None, avro=AvroReader(registry).read)
    with pytest.raises(Unreadable):
        decoder.decode("p.public.t", None, message)


def test_without_a_registry_the_cure_is_named() -> None:
    with pytest.raises(Unreadable, match="schema_registry_url"):
        Decoder("p", RECOMMENDED, lambda _: None).decode("p.public.t", None, Registered().write(JSON))


@contextmanager
def registry(status: int, body: object) -> Iterator[tuple[str, list[str | None]]]:
    """A server that gives this answer to every question, and the credentials that it was given."""
    seen: list[str | None] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers.get("Authorization"))
            answer = body.encode() if isinstance(body, str) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_schema_is_fetched_with_the_credentials() -> None:
    with (
        registry(200, {"schema": '"string"', "schemaType": "AVRO"}) as (url, seen),
        closing(SchemaRegistry(url, "reader", "word")) as asked,
    ):
        assert asked.schema(7) == '"string"'
    assert seen == ["Basic cmVhZGVyOndvcmQ="]


@pytest.mark.parametrize(
    ("status", "body", "error", "words"),
    [
        (404, {"error_code": 40403, "message": "Schema not found"}, Unregistered, "does not give schema 7.*404.*40403"),
        (404, {"error_code": 404, "message": "x"}, Temporary, "does not give schema 7.*404"),
        (500, {"error_code": 50001, "message": "x"}, Temporary, "does not give schema 7"),
        (401, {"error_code": 401, "message": "Unauthorized"}, Forbidden, "user and password"),
        (200, "<html>", Temporary, "is it a schema registry"),
        (200, {"schema": "syntax", "schemaType": "PROTOBUF"}, Misconfigured, "Avro converter"),
    ],
)
def test_what_the_registry_answers_instead(status: int, body: object, error: type[Exception], words: str) -> None:
    with (
        registry(status, body) as (url, _),
        closing(SchemaRegistry(url, "reader", "the-word")) as asked,
        pytest.raises(error, match=words) as caught,
    ):
        asked.schema(7)
    assert "the-word" not in str(caught.value)
    assert (caught.type is Unregistered) == (error is Unregistered), "only the registry's own word counts"


def test_a_registry_of_these_topics_is_known_by_its_subjects() -> None:
    with registry(200, ["p.public.t-value", "other-key"]) as (url, _), closing(SchemaRegistry(url)) as asked:
        assert [asked.has(prefix) for prefix in ("p.", "p.public.u", "other", "q")] == [True, False, True, False]


class Elsewhere(Registered):
    """A registry that may be away, or not the one of these topics."""

    problem: Exception | None = None
    ours = True

    def schema(self, number: int) -> str:
        if self.problem is not None:
            raise self.problem
        return super().schema(number)

    def has(self, prefix: str) -> bool:
        return self.ours and prefix == "p"


STRANGE = b"\0\xff\xff\xff\xffbinary of somebody else"


def test_a_message_whose_schema_never_comes_is_unreadable_after_a_while() -> None:
    now, kept = [0.0], Elsewhere()
    reader = AvroReader(kept, "p", seconds=lambda: now[0])

    def says() -> str:
        try:
            reader.read(STRANGE)
        except (Temporary, ValueError) as error:
            return type(error).__name__
        return "read"

    assert says() == "Unregistered"
    now[0] += PATIENCE_SECONDS - 1.0
    assert says() == "Unregistered"
    kept.problem = Unreachable("away")
    assert says() == "Unreachable"
    kept.problem, now[0] = None, now[0] + 1000.0
    assert says() == "Unregistered", "what it says first may be what it has not loaded yet"
    now[0] += PATIENCE_SECONDS
    kept.ours = False
    assert says() == "Unregistered", "it may be another one than the connector's"
    kept.problem = Unreachable("away")
    assert says() == "Unreachable"
    kept.problem, kept.ours, now[0] = None, True, now[0] + 1000.0
    assert says() == "Unregistered"
    now[0] += PATIENCE_SECONDS
    asked = kept.asked
    assert [says() for _ in range(3)] == ["ValueError"] * 3
    assert kept.asked == asked + 1, "the next ones of this kind are not asked for one by one"
    now[0] += 100.0
    assert (says(), kept.asked) == ("ValueError", asked + 2), "but now and then"
    other = b"\0\xee\xff\xff\xff"
    with pytest.raises(Unregistered):
        reader.read(other)
    now[0] += 3.0
    with pytest.raises(ValueError, match="has no schema 4009754623, and has others of these topics"):
        reader.read(other)


def test_a_registry_that_told_other_schemas_is_the_right_one() -> None:
    now, kept = [0.0], Elsewhere()
    kept.ours = False
    reader = AvroReader(kept, "p", seconds=lambda: now[0])
    reader.read(kept.write(JSON))
    with pytest.raises(Unregistered):
        reader.read(STRANGE)
    now[0] += PATIENCE_SECONDS
    with pytest.raises(ValueError, match="has no schema 4294967295"):
        reader.read(STRANGE)


def test_a_registry_that_is_away_stops_nothing_for_good() -> None:
    with registry(200, {"schema": '"string"'}) as (url, _):
        pass
    reader = AvroReader(SchemaRegistry(url))
    decoder = Decoder("p", RECOMMENDED, lambda _: None, avro=reader.read)
    with pytest.raises(Unreachable, match="schema registry at http"):
        decoder.decode("p.public.t", None, Registered().write(JSON))


def test_a_url_with_a_password_is_refused_and_not_repeated() -> None:
    with pytest.raises(Misconfigured) as caught:
        SchemaRegistry("http://me:secret@localhost")
    assert "secret" not in str(caught.value)


def test_a_schema_of_another_format_makes_a_message_unreadable_once_others_were_read() -> None:
    kept = Elsewhere()
    reader = AvroReader(kept)
    kept.problem = Misconfigured("schema 7 is not plain Avro: set an Avro converter")
    with pytest.raises(Misconfigured):
        reader.read(STRANGE)  # perhaps all of them are like that
    kept.problem = None
    reader.read(kept.write(JSON))
    kept.problem = Misconfigured("schema 7 is not plain Avro: set an Avro converter")
    decoder = Decoder("p", RECOMMENDED, lambda _: None, avro=reader.read)
    with pytest.raises(Unreadable, match="schema 4294967295 is none of Avro, as others of these topics are"):
        decoder.decode("p.public.t", None, STRANGE)


def test_a_schema_that_avro_does_not_allow_makes_its_messages_unreadable() -> None:
    kept = Registered()
    kept.schemas.append('{"type": "record", "name": "r", "fields": [{"name": "x", "type": "long", "default": "y"}]}')
    decoder = Decoder("p", RECOMMENDED, lambda _: None, avro=AvroReader(kept).read)
    with pytest.raises(Unreadable, match="does not allow"):
        decoder.decode("p.public.t", None, b"\0\0\0\0\0\2")


def test_an_id_that_a_registry_gave_out_again_is_asked_for_once_more() -> None:
    now, kept = [0.0], Registered()
    reader = AvroReader(kept, seconds=lambda: now[0])
    before = kept.write(JSON)
    reader.read(before)
    kept.schemas.clear()  # it lost them, and the connector registers others
    other = {**SCHEMA, "name": "p.public.u.Value", "fields": [{"type": "int32", "optional": False, "field": "id"}]}
    after = kept.write(json.dumps({"schema": other, "payload": {"id": 500}}).encode())
    assert after[:5] == before[:5]
    schema, payload = reader.read(after)
    assert (schema["name"], payload) == ("p.public.u.Value", {"id": 500})
    asked = kept.asked
    for _ in range(3):
        with pytest.raises(ValueError, match="not of schema 0 of the registry"):
            reader.read(before)  # nobody knows its schema any more
    assert kept.asked == asked, "not for each of many"
    now[0] += 100.0
    with pytest.raises(ValueError, match="not of schema 0 of the registry"):
        reader.read(before)
    assert (kept.asked, reader.read(after)[1]) == (asked + 1, {"id": 500})


def test_a_registry_that_is_away_does_not_keep_what_is_spoilt_waiting() -> None:
    kept = Elsewhere()
    reader = AvroReader(kept)
    message = kept.write(JSON)
    reader.read(message)
    kept.problem = Unreachable("away")
    with pytest.raises(ValueError, match="not of schema 0 of the registry"):
        reader.read(message[:-1])
    assert reader.read(message)[1]["small"] == 7


def test_the_registry_itself_is_asked_each_time() -> None:
    with (
        registry(200, {"schema": '"string"', "schemaType": "AVRO"}) as (url, seen),
        closing(SchemaRegistry(url)) as asked,
    ):
        assert [asked.schema(7), asked.schema(7)] == ['"string"'] * 2
    assert len(seen) == 2


def test_a_registry_of_somebody_else_is_doubted_by_name() -> None:
    kept = Registered()
    message = kept.write(JSON)
    kept.schemas[0] = '{"type": "record", "name": "r", "fields": [{"name": "x", "type": "long"}]}'
    decoder = Decoder("p", RECOMMENDED, lambda _: None, avro=AvroReader(kept).read)
    with pytest.raises(
        Unreadable, match=r"not of schema 0 of the registry, \d+ bytes .*: is it the registry of the con"
    ):
        decoder.decode("p.public.t", None, message)
