"""When an audit holds back, and that its rate is exact."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifier.brake import Brakes, Held, Rate, limit_of
from verifier.errors import Misconfigured


def test_a_limit_is_reached_above_it_and_not_at_it() -> None:
    brakes = Brakes(running_max=10, lag_seconds=2.0)
    assert brakes.load("eu", 10) is None
    assert brakes.load("eu", 11) == Held("load", "11 statements run on eu, more than 10", "eu")
    assert brakes.lag({"eu": 2.0, "us": 0.0}) is None
    assert brakes.lag({"eu": 2.5, "us": 3.5}) == Held("lag", "us lags by more than 2 s", "us")


def test_what_is_not_known_holds_nothing() -> None:
    brakes = Brakes(lag_seconds=2.0)
    assert brakes.lag({"eu": None}) is None
    assert brakes.answer("leader", "select 1", None, 5.0) is None
    assert Brakes().load("eu", 1_000_000) is None
    assert Brakes().lag({"eu": 1e9}) is None


def test_a_users_sql_brakes_above_its_number() -> None:
    brakes = Brakes(asked=(("select x", 5.0),))
    assert brakes.by_load
    assert brakes.answer("eu", "select x", "5", 5.0) is None
    assert brakes.answer("eu", "select x", "5.01", 5.0) == Held(
        "load", "'select x' tells 5.01 on eu, more than 5", "eu: select x"
    )
    with pytest.raises(Misconfigured, match="told 'busy' on eu, which is no number"):
        brakes.answer("eu", "select x", "busy", 5.0)


def test_sql_and_number_are_parted_at_the_last_sign() -> None:
    assert limit_of("select count(*) from t where a = 1 = 20") == ("select count(*) from t where a = 1", 20.0)
    assert limit_of("show x=0.5") == ("show x", 0.5)
    for wrong in ("select 1", "select 1=", "=5", "select 1=many"):
        with pytest.raises(Misconfigured, match=re.escape(f"{wrong!r}: needs SQL=NUMBER")):
            limit_of(wrong)


@pytest.mark.parametrize("wrong", [{"running_max": 0}, {"lag_seconds": 0.0}, {"rows_per_second": -1.0}])
def test_a_limit_that_stops_everything_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(Misconfigured):
        Brakes(**wrong)  # type: ignore[arg-type]


@given(
    rate=st.floats(1, 1e6),
    chunks=st.lists(st.tuples(st.integers(1, 10_000), st.integers(0, 10_000), st.floats(0, 5)), min_size=1),
)
def test_no_more_is_read_than_the_rate_allows(rate: float, chunks: list[tuple[int, int, float]]) -> None:
    """Chunks that are admitted as soon as they may be, of which more or fewer rows come than were asked for, and that
    take their time: before each of them all rows read so far are paid for."""
    one, now, rows = Rate(rate), 100.0, 0
    for asked, came, took in chunks:
        now += one.wait(now)
        assert one.wait(now) == pytest.approx(0.0, abs=1e-6)
        assert rows <= rate * (now - 100.0) * (1 + 1e-9) + 1e-6 * rate
        one.take(asked, now)
        one.correct(came - asked)
        rows += came
        now += took


def test_idle_time_is_not_saved_up() -> None:
    rate = Rate(100.0)
    rate.take(50, 0.0)
    assert rate.wait(10.0) == 0.0
    rate.take(100, 10.0)
    assert rate.wait(10.0) == 1.0
