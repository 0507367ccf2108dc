"""Events as JSON lines: appended, complete, and on the disk before they count as sent."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.files.events import JsonLinesSink
from reconciler.ports import Event
from verifier.errors import Misconfigured, Temporary


def event(name: str, topic: str = "drift", text: str = "") -> Event:
    return Event(name, topic, "k", {"specversion": "1.0", "id": name, "data": {"text": text}})


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[JsonLinesSink]:
    made = JsonLinesSink(tmp_path / "events")
    yield made
    made.close()


def ids(path: Path) -> list[str]:
    return [json.loads(line)["id"] for line in path.read_bytes().splitlines()]


def test_one_line_for_each_event_and_one_file_for_each_topic(sink: JsonLinesSink, tmp_path: Path) -> None:
    sent = sink.send([event("1"), event("2", "repairs"), event("3", text="two\nlines \u2028 \x85 é")])
    assert sent == ["1", "2", "3"]
    assert ids(tmp_path / "events" / "trueup.drift.jsonl") == ["1", "3"]
    assert ids(tmp_path / "events" / "trueup.repairs.jsonl") == ["2"]
    last = json.loads(sink.path("drift").read_text().split("\n")[1])
    assert last == event("3", text="two\nlines \u2028 \x85 é").body
    assert sink.path("drift").stat().st_mode & 0o777 == 0o600


def test_a_later_sink_appends_and_closes_a_line_that_a_crash_cut(tmp_path: Path) -> None:
    path = tmp_path / "all.jsonl"
    for name in ("1", "2"):
        sink = JsonLinesSink(path, one_file=True)
        sink.send([event(name)])
        sink.close()
    with path.open("ab") as file:
        file.write(b'{"id": "cut')
    sink = JsonLinesSink(path, one_file=True)
    sink.send([event("3"), event("4", "violations")])
    sink.close()
    lines = path.read_bytes().split(b"\n")
    assert lines[2] == b'{"id": "cut'
    assert [json.loads(lines[n])["id"] for n in (0, 1, 3, 4)] == ["1", "2", "3", "4"]
    assert lines[5] == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_a_full_disk_is_temporary_and_nothing_counts_as_sent(tmp_path: Path) -> None:
    full = tmp_path / "full.jsonl"
    os.symlink("/dev/full", full)
    sink = JsonLinesSink(full, one_file=True)
    with pytest.raises(Temporary, match="No space left on device; free or check the disk"):
        sink.send([event("1")])
    full.unlink()
    assert sink.send([event("1")]) == ["1"]
    sink.close()
    assert ids(full) == ["1"]


def test_a_place_that_cannot_be_a_file_is_a_matter_of_configuration(tmp_path: Path) -> None:
    sink = JsonLinesSink(tmp_path, one_file=True)
    with pytest.raises(Misconfigured, match="name another place"):
        sink.send([event("1")])
