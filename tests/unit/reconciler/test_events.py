"""Events against their published schemas and against the official CloudEvents library."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

import pytest
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from jsonschema import Draft202012Validator, FormatChecker

from reconciler.events import Announcer, DriftNews, drift_event, repair_event, rfc3339, row_digest, violation_event
from reconciler.letters import dead_letter_event, raw
from reconciler.masking import Masking
from reconciler.ports import Event
from reconciler.progress import UNDECIDED
from reconciler.repair import Action, Repair, State
from verifier.change import DeadLetter
from verifier.drift import Certainty, Difference, Drift, Evidence, Kind, Method
from verifier.errors import Unsound
from verifier.invariant import Finding, Standing
from verifier.table import TableName

NAME = TableName("public", "orders")
DRIFT = Drift(
    "d" * 32,
    "shop",
    "eu-2",
    NAME,
    (42, "it's"),
    Kind.MISMATCHED,
    {"amount": Difference("1.00", None), "card": Difference("4111", "4222")},
    Evidence(Certainty.PROVEN, Method.VISIBILITY, {"high": "lsn:0/16B3748"}),
    1_700_000_000.25,
)
REPAIR = Repair(
    "e" * 32,
    "d" * 32,
    "shop",
    "eu-2",
    NAME,
    (42, "it's"),
    Kind.MISMATCHED,
    Action.UPDATE,
    {"id": "42", "part": "it's", "amount": "1.00", "card": "4111"},
    {"id": "42", "part": "it's", "amount": None, "card": "4222"},
    1_700_000_001.0,
)
FINDING = Finding("balances", Standing.VIOLATED, 5.0, 3, ({"account": "1", "owner": "Ann"},), more=True)
LETTER = DeadLetter(
    "shop.public.orders",
    3,
    17,
    1_700_000_000.5,
    b'{"id": 1}',
    b"\x00\xff",
    (("h", b"x"), ("n", None)),
    "ValueError",
    "odd",
)
KEY = ("id", "part")
PLAIN = Announcer("one", "shop")
MASKED = Announcer("one", "shop", Masking({NAME: frozenset({"card", "part"})}, b"salt"))


def all_events(announcer: Announcer) -> list[Event]:
    drifts = [drift_event(announcer, DRIFT, what, key_columns=KEY, now=1_700_000_002.5) for what in DriftNews]
    repairs = [
        repair_event(announcer, each, state, key_columns=KEY, set_columns=("amount",), actor="anna", now=9.0, note="n")
        for state in State
        if state not in UNDECIDED
        for each in (
            REPAIR,
            replace(REPAIR, action=Action.INSERT, expected=None),
            replace(REPAIR, action=Action.DELETE, wanted=None),
        )
    ]
    letters = [dead_letter_event(announcer, LETTER, version="1.2", now=7.0)]
    violated = violation_event(announcer, FINDING, since=4.0, now=6.0, masked=frozenset({"owner"}))
    return [*drifts, *repairs, violated, *letters]


def schema_of(event: Event) -> dict[str, Any]:
    family = str(event.body["dataschema"]).rsplit(":", 1)[1]
    text = (files("reconciler") / "schemas" / f"{family}.json").read_text("utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


@pytest.mark.parametrize("announcer", [PLAIN, MASKED], ids=["plain", "masked"])
def test_every_event_fits_its_schema_and_is_what_the_schema_lists(announcer: Announcer) -> None:
    types = set()
    for event in all_events(announcer):
        schema = schema_of(event)
        Draft202012Validator.check_schema(schema)
        Draft202012Validator(schema, format_checker=FormatChecker()).validate(json.loads(json.dumps(event.body)))
        data = event.body["data"]
        assert isinstance(data, Mapping)
        assert set(event.body) == set(schema["properties"])
        assert set(data) == set(schema["properties"]["data"]["properties"])
        assert event.id == event.body["id"]
        assert event.key == event.body["partitionkey"]
        types.add(event.body["type"])
    published = {
        name
        for path in (files("reconciler") / "schemas").iterdir()
        for name in json.loads(path.read_text("utf-8"))["properties"]["type"]["enum"]
    }
    assert types == published


def test_the_official_library_reads_them_as_they_are_meant() -> None:
    for event in all_events(PLAIN):
        read = JSONFormat().read(CloudEvent, json.dumps(event.body))
        assert read.get_id() == event.id
        assert read.get_source() == "/trueup/one/groups/shop"
        assert read.get_type() == event.body["type"]
        assert read.get_subject() == event.body["subject"]
        assert read.get_extension("partitionkey") == event.key
        assert read.get_data() == event.body["data"]
        time = read.get_time()
        assert time is not None
        assert rfc3339(time.timestamp()) == event.body["time"]


def test_ids_are_deterministic_and_tell_steps_and_findings_apart() -> None:
    first, again = all_events(PLAIN), all_events(PLAIN)
    assert [event.id for event in first] == [event.id for event in again]
    # The three shapes of the repair share one repair id, so each step is one event.
    assert len({event.id for event in first}) == len(DriftNews) + len(State) - len(UNDECIDED) + 1 + 1
    later = replace(DRIFT, found_at=DRIFT.found_at + 1)
    one, two = (drift_event(PLAIN, each, DriftNews.OPENED, key_columns=KEY, now=0.0) for each in (DRIFT, later))
    assert one.id != two.id
    again_violated = violation_event(PLAIN, FINDING, since=5.0, now=6.0)
    assert again_violated.id != violation_event(PLAIN, FINDING, since=4.0, now=6.0).id


def test_a_dead_letter_is_whole_and_read_again_is_the_same() -> None:
    event = dead_letter_event(PLAIN, LETTER, version="1.2", now=7.0)
    assert (event.topic, event.key) == ("dead-letters", "shop|shop.public.orders:3")
    assert raw(event).key == LETTER.key
    assert raw(event).value == LETTER.value
    assert raw(event).headers == LETTER.headers
    assert raw(event).notes == (
        ("topic", "shop.public.orders"), ("partition", "3"), ("offset", "17"),
        ("timestamp", "2023-11-14T22:13:20.500000Z"), ("error", "ValueError"), ("text", "odd"), ("version", "1.2"),
    )  # fmt: skip
    assert dead_letter_event(PLAIN, LETTER, version="1.3", now=9.0).id == event.id
    others = [
        replace(LETTER, offset=18),
        replace(LETTER, at=1.0),
        replace(LETTER, value=b""),
        replace(LETTER, key=None),
    ]
    assert len({event.id, *(dead_letter_event(PLAIN, one, version="1.2", now=7.0).id for one in others)}) == 5
    with pytest.raises(ValueError, match="no dead letter"):
        raw(Event("i", "dead-letters", "k", {"data": None}))


def test_the_compensating_event_carries_what_is_needed_to_compare_and_set() -> None:
    event = repair_event(
        PLAIN, REPAIR, State.PLANNED, key_columns=KEY, set_columns=("amount",), actor="anna", now=1_700_000_003.0
    )
    assert event.topic == "repairs"
    assert event.key == 'shop|public.orders|[42,"it\'s"]'
    assert event.body == {
        "specversion": "1.0",
        "id": event.id,
        "source": "/trueup/one/groups/shop",
        "type": "io.trueup.repair.proposed.v1",
        "subject": "public.orders",
        "time": "2023-11-14T22:13:23.000000Z",
        "datacontenttype": "application/json",
        "dataschema": "urn:trueup:events:repair.v1",
        "partitionkey": event.key,
        "data": {
            "repair": "e" * 32,
            "drift": "d" * 32,
            "group": "shop",
            "follower": "eu-2",
            "table": "public.orders",
            "key": {"id": 42, "part": "it's"},
            "kind": "mismatched",
            "action": "update",
            "state": "planned",
            "wanted": {"id": "42", "part": "it's", "amount": "1.00", "card": "4111"},
            "set": ["amount"],
            "expected_digest": row_digest(REPAIR.expected or {}),
            "actor": "anna",
            "note": "",
            "planned_at": "2023-11-14T22:13:21.000000Z",
            "masked": [],
        },
    }


def test_masked_values_are_nowhere_and_equal_ones_still_look_equal() -> None:
    for event in all_events(MASKED):
        spelled = json.dumps([event.id, event.topic, event.key, event.body])
        for secret in ("4111", "4222", "it's", "Ann"):
            assert secret not in spelled
    masking = MASKED.masking
    assert masking.value("4111") == masking.value("4111") != masking.value("4222")
    assert masking.value(None) is None
    assert masking.value("4111") != Masking({}, b"other salt").value("4111")


def test_the_row_digest_is_injective() -> None:
    rows: list[dict[str, str | None]] = [
        {},
        {"a": None},
        {"a": ""},
        {"a": "null"},
        {"a": "1", "b": "2"},
        {"a": "2", "b": "1"},
        {"a": "12"},
        {"ab": "12"},
    ]
    assert len({row_digest(row) for row in rows}) == len(rows)
    assert row_digest({"a": "1", "b": "2"}) == row_digest({"b": "2", "a": "1"})


def test_what_is_no_news_is_not_announced() -> None:
    for state in UNDECIDED:
        with pytest.raises(Unsound, match=f"{state.value} is not announced"):
            repair_event(PLAIN, REPAIR, state, key_columns=KEY, actor="a", now=0.0)
    with pytest.raises(Unsound, match="holds is not a violation"):
        violation_event(PLAIN, replace(FINDING, standing=Standing.HOLDS), since=1.0, now=1.0)


def test_times_are_rfc3339_in_utc() -> None:
    moment = datetime(2026, 1, 31, 12, 0, 0, 123456, UTC)
    assert rfc3339(moment.timestamp()) == "2026-01-31T12:00:00.123456Z"
