"""From offsets per partition to a position of the leader."""

from __future__ import annotations

from itertools import count

import pytest

from verifier import offsets
from verifier.offsets import BEGIN_SECONDS, SETTLE_SECONDS, AfterEnds, OffsetIndex
from verifier.position import Tick
from verifier.table import TableName

A, B, E = ("c.public.a", 0), ("c.public.b", 0), ("c.transaction", 0)


def settled() -> OffsetIndex:
    """A reader that knows of everything that was ever sent, which is nothing."""
    index = OffsetIndex(count(step=10).__next__)  # whenever it is asked, ten seconds have passed
    index.read({A: 0, B: 0, E: 0}, Tick(0))
    index.ended()
    index.fence({A: 0, B: 0, E: 0}, index.epoch)
    index.read({A: 0, B: 0, E: 0}, Tick(0))
    return index


def three() -> OffsetIndex:
    """Transactions at 10 (two rows in A), at 20 (A and B) and at 30 (B)."""
    index = settled()
    index.delivered({A: 1}, Tick(0))
    index.delivered({A: 2, B: 0}, Tick(10))
    index.delivered({B: 1}, Tick(20))
    index.read({A: 3, B: 2, E: 3}, Tick(30))
    return index


def test_what_is_shown_ends_before_the_first_transaction_that_is_not_committed_in_every_partition() -> None:
    index = three()
    assert index.surely({A: 1, B: 2}, [A, B]) == Tick(0)  # half of the first one
    assert index.surely({A: 2, B: 2}, [A, B]) == Tick(10)
    assert index.surely({A: 3, B: 0}, [A, B]) == Tick(10)
    assert index.surely({A: 3, B: 1}, [A, B]) == Tick(20)
    assert index.surely({A: 3, B: 2}, [A, B]) == Tick(30)
    assert index.surely({A: 9, B: 9}, [A, B]) == Tick(30)


def test_a_partition_whose_offset_nobody_committed_shows_nothing_and_holds_up_no_other_table() -> None:
    index = three()
    assert index.surely({A: 3}, [A, B]) == Tick(10)
    assert index.surely({A: 3}, [A]) == Tick(30)


def test_ends_are_asked_for_only_once_a_new_transaction_has_settled() -> None:
    """What was sent before it may still be under way to another partition: for longer where nobody knows how far each
    of them was."""
    times = [0.0]
    index = OffsetIndex(lambda: times[0])
    index.read({A: 0, B: 0, E: 0}, Tick(0))
    for begun, settles in ((7.0, BEGIN_SECONDS), (40.0, SETTLE_SECONDS), (60.0, SETTLE_SECONDS)):
        index.again()
        times[0] = begun
        index.ended()
        for share in (0.0, 0.5, 0.9):
            times[0] = begun + share * settles
            index.ended()  # others put nothing off
            index.fence({A: 0, B: 0, E: 0}, index.epoch)
            index.read({A: 0, B: 0, E: 0}, Tick(0))
            assert index.unsettled
        epoch = index.epoch
        times[0] = begun + settles
        index.fence({A: 0, B: 0, E: 0}, epoch)  # asked for before
        index.read({A: 0, B: 0, E: 0}, Tick(0))
        assert index.unsettled
        index.fence({A: 0, B: 0, E: 0}, index.epoch)
        index.read({A: 0, B: 0, E: 0}, Tick(0))
        assert not index.unsettled


def test_after_a_copy_nothing_is_certain_until_a_new_transaction_came_and_all_before_it_was_applied() -> None:
    index = three()
    index.again()
    everything = {A: 9, B: 9}
    assert index.surely(everything, [A]) is None
    index.fence({A: 4, B: 2, E: 4}, index.epoch)  # nothing new has come: these ends say nothing
    index.read({A: 4, B: 2, E: 4}, Tick(30))
    assert (index.surely(everything, [A]), index.unsettled[:18]) == (None, "what was sent agai")
    before = index.epoch
    index.delivered({B: 2}, Tick(30))  # may have ended before the copies came
    index.fence({A: 4, B: 3, E: 5}, index.epoch)
    index.read({A: 4, B: 3, E: 5}, Tick(40))
    assert index.surely(everything, [A]) is None
    index.ended()
    index.fence({A: 4, B: 3, E: 5}, before)  # asked before the new one was known
    index.read({A: 4, B: 3, E: 5}, Tick(40))
    assert index.surely(everything, [A]) is None
    index.fence({A: 5}, index.epoch)  # not all that is read
    index.read({A: 5, B: 3, E: 5}, Tick(40))
    assert index.surely(everything, [A]) is None
    index.fence({A: 5, B: 3, E: 5}, index.epoch)
    index.read({A: 4, B: 3, E: 5}, Tick(40))
    assert index.surely(everything, [A]) is None  # the stream was not read that far
    index.read({A: 5, B: 3, E: 5}, Tick(40))
    assert (index.surely(everything, [A]), index.unsettled) == (Tick(40), "")
    assert index.surely({A: 4, B: 3}, [A]) is None
    assert index.surely({A: 5, B: 2}, [A]) == Tick(40)


def test_a_partition_in_which_rows_went_back_is_behind_until_its_furthest_row_came_again() -> None:
    index = three()
    index.furthest.came(A, 1, 1, seen=False)
    index.furthest.came(A, 2, 1, seen=False)
    index.furthest.came(A, 2, 4, seen=False)
    index.furthest.came(B, 2, 2, seen=False)
    index.furthest.came(A, 1, 1, seen=True)
    assert (index.surely({A: 9, B: 9}, [A]), index.surely({A: 9, B: 9}, [A, B])) == (None, None)
    assert index.surely({B: 9}, [B]) == Tick(30)
    assert (index.furthest.behind([A]), index.furthest.behind([B])) == (True, False)
    index.furthest.came(A, 2, 1, seen=True)  # half of the furthest transaction
    assert index.surely({A: 9}, [A]) is None
    index.furthest.came(A, 2, 4, seen=True)
    assert index.surely({A: 9}, [A]) == Tick(30)
    index.furthest.came(A, 1, 1, seen=True)
    index.furthest.came(A, 3, 1, seen=False)  # further than ever
    assert index.surely({A: 9}, [A]) == Tick(30)


def test_how_far_a_partition_was_is_unknown_where_its_furthest_row_was_a_copy() -> None:
    index = three()
    index.furthest.came(A, 1, 1, seen=True)  # nothing is known to be further
    index.furthest.came(A, 7, 1, seen=False)
    index.furthest.mistaken(8)
    index.furthest.came(A, 1, 1, seen=True)
    assert index.surely({A: 9}, [A]) is None
    index.furthest.came(A, 7, 1, seen=True)
    index.furthest.mistaken(7)
    index.furthest.came(A, 1, 1, seen=True)
    assert index.surely({A: 9}, [A]) == Tick(30)


def test_a_reader_that_begins_is_certain_of_nothing() -> None:
    index = three()
    index.begin()
    assert index.surely({A: 9, B: 9}, [A, B]) is None
    assert index.unsettled


def test_a_look_is_judged_once_the_stream_was_read_through_what_was_there_after_it() -> None:
    index = three()
    proviso = AfterEnds(index, {A: 4, B: 2}, index.epoch)
    assert proviso.lacking() == "the change stream has not been read as far as the sink may have"
    index.delivered({A: 3}, Tick(30))
    index.read({A: 4, B: 2}, Tick(40))
    assert (proviso.lacking(), proviso.refused()) == ("", "")
    index.again()
    assert proviso.refused().startswith("what was sent again")
    assert AfterEnds(index, {}, index.epoch, "in doubt").refused() == "in doubt"


def test_memory_is_bounded_and_coarser_is_never_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offsets, "KEPT_MAX", 8)
    index = settled()
    for number in range(101):
        index.delivered({A: number}, Tick(number))
    index.read({A: 101}, Tick(101))
    for committed in range(102):
        found = index.surely({A: committed}, [A])
        assert isinstance(found, Tick)
        assert found.value <= committed
    assert index.surely({A: 101}, [A]) == Tick(101)
    assert index.surely({A: 99}, [A]) not in (Tick(0), None)


def test_what_was_long_applied_is_forgotten_and_no_older_offset_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offsets, "_SPARE", 3)
    index = settled()
    for number in range(20):
        index.delivered({A: number}, Tick(number))
    index.read({A: 20}, Tick(20))
    assert index.surely({A: 15}, [A]) == Tick(15)
    assert index.surely({A: 13}, [A]) == Tick(13)
    assert index.surely({A: 5}, [A]) is None


def test_topics_are_known_by_the_rows_in_them_and_else_by_their_names() -> None:
    index = settled()
    table = TableName("public", "b")
    assert set(index.places()) == {A, B, E}
    assert index.places(table, "c.public.b") == [B]
    assert index.places(table, "c.public.unknown") == []
    index.carries("c.public.a", table)
    assert index.places(table, "c.public.b") == [A]
