"""Events that wait are sent all, and a sink that takes none is not waited for for ever."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from fixtures.journal_samples import an_event

from config.settings import Group
from connectors.files.events import JsonLinesSink
from connectors.journal.opening import open_journal
from connectors.memory.clock import VirtualClock
from reconciler.ports import Event
from trueup.bootstrap.announcing import heard, relayed
from verifier.errors import Temporary


class HalfSink(JsonLinesSink):
    """Takes half of what it is given, and nothing of a single event."""

    def send(self, events: Sequence[Event]) -> Sequence[str]:
        return super().send(events[: len(events) // 2])


def test_more_than_a_batch_is_sent_in_order(tmp_path: Path) -> None:
    with closing(open_journal(tmp_path / "journal.db", "shop")) as journal:
        journal.outbox.add([an_event(f"{number:04}") for number in range(1_201)])
        relayed(journal, JsonLinesSink(tmp_path / "events.jsonl", one_file=True), VirtualClock())
        assert journal.outbox.pending_count() == 0
    lines = (tmp_path / "events.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == [f"{number:04}" for number in range(1_201)]


def test_a_disk_that_stays_full_is_given_up(tmp_path: Path) -> None:
    clock = VirtualClock()
    began = clock.now()
    with closing(open_journal(tmp_path / "journal.db", "shop")) as journal:
        journal.outbox.add([an_event("1")])
        with pytest.raises(Temporary, match="No space left"):
            relayed(journal, JsonLinesSink(Path("/dev/full"), one_file=True), clock)
        assert 10.0 <= clock.now() - began < 11.0
        assert journal.outbox.pending_count() == 1


def test_what_is_taken_in_part_is_tried_again_and_then_given_up(tmp_path: Path) -> None:
    clock = VirtualClock()
    with closing(open_journal(tmp_path / "journal.db", "shop")) as journal:
        journal.outbox.add([an_event(str(number)) for number in range(4)])
        with pytest.raises(Temporary, match="only some of them"):
            relayed(journal, HalfSink(tmp_path / "events.jsonl", one_file=True), clock)
        assert journal.outbox.pending_count() == 1


@pytest.mark.parametrize(("kind", "kept"), [("none", ["dead-letters"]), ("jsonl", ["drift", "dead-letters"])])
def test_where_events_go_nowhere_only_dead_letters_wait(tmp_path: Path, kind: str, kept: list[str]) -> None:
    events = {"kind": kind} | ({"path": "events.jsonl"} if kind == "jsonl" else {})
    sides = {"leader": {"url": "sqlite:///a.db"}, "followers": [{"name": "b", "url": "sqlite:///b.db"}]}
    group = Group.model_validate({"name": "shop", **sides, "tables": {"include": ["*"]}, "events": events})
    with closing(open_journal(tmp_path / "journal.db", "shop")) as journal:
        heard(group, journal, VirtualClock())
        journal.outbox.add([an_event("1", "drift"), an_event("2", "dead-letters")])
        assert [one.topic for one in journal.outbox.pending(9)] == kept
