"""A cutover whose audit tolerated anything is not complete."""

from __future__ import annotations

from fixtures.reports import entry

from trueup.audit.cutover import _feed
from verifier.cutover import Rows
from verifier.tolerance import Tolerance


def test_what_was_tolerated_is_no_go_and_what_was_stricter_is_none_of_it() -> None:
    rows = Rows("f")
    said = {
        "at": Tolerance(time_digits=0).words(),
        "price": Tolerance(strict_scale=True).words(),
        "note": Tolerance(ignore_trailing_spaces=True).words(),
    }
    _feed(rows, entry("s.t", "f", "match", tolerances=said), {}, ())
    _feed(rows, entry("s.u", "f", "match", tolerances={"price": said["price"]}), {}, ())
    _feed(rows, entry("s.v", "f", "match"), {}, ())
    assert rows.partial == ["s.t with tolerances for at, note"]
