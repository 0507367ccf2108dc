"""What `trueup lag` says of the log that a leader keeps for the stream's slot."""

from __future__ import annotations

from connectors.postgres.lag import Slot
from trueup.bootstrap.lagging import kept_words


def slot(safe: int | None, limit: int | None) -> Slot:
    return Slot("trueup", "logical", True, "reserved", 5_000_000, safe, None, limit)


def test_what_is_kept_and_how_much_may_be() -> None:
    assert kept_words(slot(62_000_000, 67_108_864)) == (
        "slot trueup retains 5,000,000 bytes and is lost after 62,000,000 more (max_slot_wal_keep_size: 67,108,864)"
    )
    assert kept_words(slot(None, None)) == (
        "slot trueup retains 5,000,000 bytes, without a limit (max_slot_wal_keep_size)"
    )
