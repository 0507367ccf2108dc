"""Who says that a sink fed a row wrong can prove it: by offsets and messages alone."""

from __future__ import annotations

from datetime import datetime

import pytest
from fixtures.sink_topic import Sent, Sighting, State


def sent(offset: int, amount: str | None) -> Sent:
    """A change that leaves this amount, or no row."""
    after = {"status": "new", "amount": amount, "changed_at": "2026-01-02T03:04:05.678Z"}
    return Sent(offset, "d" if amount is None else "u", offset, None if amount is None else after)


def shown(amount: str | None) -> State:
    return None if amount is None else ("new", amount, datetime(2026, 1, 2, 3, 4, 5, 678_000))


ROW = [sent(10, "1.00"), sent(20, "2.00"), sent(30, None), sent(40, "4.00")]


@pytest.mark.parametrize(
    ("committed", "end", "amount", "wrong"),
    [
        (25, 25, "2.00", False),  # the last that was committed
        (25, 25, "1.00", True),  # lost, or written over by an older one
        (25, 25, None, True),
        (20, 35, "2.00", False),  # offset 20 itself was not committed, and may be applied
        (21, 35, None, False),  # nor what came behind it until the look
        (31, 35, "2.00", True),  # the delete was committed
        (31, 40, "4.00", True),  # nobody had sent it yet
        (5, 5, None, False),  # nothing was committed of it: nothing is proven
    ],
)
def test_only_what_the_sink_vouched_for_proves_it_wrong(committed: int, end: int, amount: str, wrong: bool) -> None:
    assert bool(Sighting(committed, shown(amount), end).wrong(ROW)) is wrong
