"""What is remembered from look to look is bounded, and what cannot be remembered is never called right."""

from __future__ import annotations

from decimal import Decimal

from verifier.invariant import Standing, comparable
from verifier.ripening import Ripening, Sight, Wrong


def wrong(*names: object) -> list[Wrong]:
    return [Wrong.of((str(name),), ("-1",)) for name in names]


def test_more_than_can_be_remembered_is_counted_as_far_as_it_is_known() -> None:
    ripening = Ripening(5.0, 1, 10.0, remember_max=3)
    assert ripening.take(Sight(wrong(*range(5))), 0.0).standing is Standing.UNVERIFIED
    judged = ripening.take(Sight(wrong(*reversed(range(5)))), 5.0)
    assert (judged.standing, list(judged.counting), judged.more) == (Standing.VIOLATED, [2, 3, 4], True)


def test_what_could_not_be_remembered_holds_only_when_a_look_finds_nothing_wrong() -> None:
    ripening = Ripening(5.0, 1, 10.0, remember_max=3)
    ripening.take(Sight(wrong(*range(5))), 0.0)
    assert ripening.take(Sight(wrong("other")), 1.0).standing is Standing.UNVERIFIED
    assert ripening.open
    assert ripening.take(Sight([]), 2.0).standing is Standing.HOLDS
    assert not ripening.open


def test_a_name_that_a_cut_answer_does_not_show_is_still_owed() -> None:
    ripening = Ripening(5.0, 1, 10.0)
    ripening.take(Sight(wrong(1, 2), complete=False), 0.0)
    judged = ripening.take(Sight(wrong(2), complete=False), 5.0)
    assert (judged.standing, list(judged.counting), judged.more) == (Standing.VIOLATED, [0], True)
    assert ripening.open
    assert ripening.take(Sight([]), 6.0).standing is Standing.HOLDS


def test_a_look_that_takes_long_shows_no_more_than_the_moment_in_which_it_began() -> None:
    """It was made soon after the first one; only its answer came late."""
    ripening = Ripening(5.0, 1, 10.0)
    ripening.take(Sight(wrong(1)), 2.0, began=0.0)
    assert ripening.take(Sight(wrong(1)), 8.0, began=6.9).standing is Standing.UNVERIFIED
    assert ripening.take(Sight(wrong(1)), 9.0, began=7.0).standing is Standing.VIOLATED


def test_looks_that_take_longer_than_all_patience_find_what_stays_wrong() -> None:
    ripening = Ripening(1.0, 1, 10.0)
    standings = [ripening.take(Sight(wrong(1)), 90.0 * look, 90.0 * (look - 1) + 0.2).standing for look in (1, 2, 3)]
    assert standings == [Standing.UNVERIFIED, Standing.UNVERIFIED, Standing.VIOLATED]


def test_without_grace_and_of_one_moment_every_look_decides() -> None:
    ripening = Ripening(0.0, 1, 10.0, remember_max=3)
    judged = ripening.take(Sight(wrong(*range(9))), 0.0)
    assert (judged.standing, len(judged.counting), judged.more, ripening.open) == (Standing.VIOLATED, 9, False, False)
    assert ripening.take(Sight([]), 1.0).standing is Standing.HOLDS


def test_what_counts_goes_on_counting_while_the_young_are_waited_for() -> None:
    ripening = Ripening(5.0, 1, 10.0)
    ripening.take(Sight(wrong("old")), 0.0)
    assert ripening.take(Sight(wrong("old")), 5.0).standing is Standing.VIOLATED
    assert not ripening.open
    judged = ripening.take(Sight(wrong("new", "old")), 60.0)
    assert (judged.standing, list(judged.counting), ripening.open) == (Standing.VIOLATED, [1], True)
    assert list(ripening.take(Sight(wrong("new", "old")), 65.0).counting) == [0, 1]
    assert not ripening.open


def test_a_round_that_is_slow_lasts_for_the_looks_that_it_needs() -> None:
    ripening = Ripening(1.0, 4, 10.0)
    standings = [ripening.take(Sight(wrong(1)), 90.0 * look).standing for look in range(4)]
    assert standings == [Standing.UNVERIFIED] * 3 + [Standing.VIOLATED]


def test_numbers_that_are_spelled_otherwise_are_the_same_difference() -> None:
    ripening = Ripening(5.0, 1, 10.0)
    ripening.take(Sight([Wrong.of(("1",), ("5.0", None))]), 0.0)
    assert ripening.take(Sight([Wrong.of(("1",), ("5.00", None))]), 5.0).standing is Standing.VIOLATED
    assert Wrong.of((), ("1_0",)) != Wrong.of((), ("10",))
    assert Wrong.of((), ("1e9999999999999999999",)) != Wrong.of((), ("NaN",))


def test_what_counted_and_is_wrong_in_another_way_now_was_not_seen_right() -> None:
    ripening = Ripening(0.0, 4, 10.0)
    one, moving = ("1",), {("2",)}
    for look in range(3):
        assert ripening.take(Sight([Wrong.of(one, ("5", "6"))], moving), 0.1 * look).standing is Standing.UNVERIFIED
    assert ripening.take(Sight([Wrong.of(one, ("5", "6"))], moving), 0.3).standing is Standing.VIOLATED
    judged = ripening.take(Sight([Wrong.of(one, ("5", "7"))]), 0.4)
    assert (judged.standing, ripening.open) == (Standing.UNVERIFIED, True), "it was wrong at every look of the round"
    for look in range(2):
        assert ripening.take(Sight([Wrong.of(one, ("5", "7"))]), 0.5 + look).standing is Standing.UNVERIFIED
    assert ripening.take(Sight([Wrong.of(one, ("5", "7"))]), 3.0).standing is Standing.VIOLATED


def test_what_counts_from_an_earlier_round_is_owed_by_this_one() -> None:
    ripening = Ripening(5.0, 1, 10.0)
    ripening.take(Sight([Wrong.of(("1",), ("-1",))]), 0.0)
    assert ripening.take(Sight([Wrong.of(("1",), ("-1",))]), 5.0).standing is Standing.VIOLATED
    young = Wrong.of(("2",), ("-1",))
    assert ripening.take(Sight([Wrong.of(("1",), ("-1",)), young]), 60.0).standing is Standing.VIOLATED
    assert ripening.take(Sight([Wrong.of(("1",), ("-2",))]), 61.0).standing is Standing.UNVERIFIED
    assert ripening.take(Sight([]), 62.0).standing is Standing.HOLDS


def test_a_long_text_that_begins_as_a_number_is_read_once() -> None:
    """Read anew from each digit, this would keep every thread of the process waiting for hours."""
    text = "1" * 1_000_000 + "x"
    assert Wrong.of((), (text,)).shown == (text,)
    assert [comparable(one) for one in ("5.", ".5", "-1.50e1")] == [Decimal(5), Decimal("0.5"), Decimal(-15)]
