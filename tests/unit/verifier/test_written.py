"""When a row version was written: between two samples, and never more surely than they say."""

from __future__ import annotations

from verifier.position import Lsn
from verifier.written import Dated, Sample, Samples


def _samples(*told: tuple[int, int, int], kept_max: int = 100) -> Samples:
    samples = Samples(kept_max)
    for mark, applied, written in told:
        samples.add(Sample(mark, Lsn(applied), Lsn(written)))
    return samples


def test_a_version_lies_between_the_samples_around_its_id() -> None:
    samples = _samples((10, 100, 120), (20, 200, 210), (30, 300, 300))
    assert samples.dated(9) == Dated(None, Lsn(120))
    assert samples.dated(10) == Dated(Lsn(100), Lsn(210))
    assert samples.dated(19) == Dated(Lsn(100), Lsn(210))
    assert samples.dated(20) == Dated(Lsn(200), Lsn(300))
    assert samples.dated(30) == samples.dated(1_000) == Dated()
    assert Samples().dated(5) == Dated()


def test_samples_between_which_no_transaction_began_hold_for_one_moment() -> None:
    samples = _samples((10, 100, 120), (10, 150, 170), (20, 200, 220))
    assert samples.dated(9) == Dated(None, Lsn(120))
    assert samples.dated(11) == Dated(Lsn(150), Lsn(220))


def test_ids_of_32_bits_are_read_near_the_samples() -> None:
    epoch = 5 << 32
    samples = _samples((epoch - 5, 100, 100), (epoch + 5, 200, 200), (epoch + 9, 300, 300))
    assert samples.dated(2**32 - 1) == Dated(Lsn(100), Lsn(200))
    assert samples.dated(6) == Dated(Lsn(200), Lsn(300))
    assert samples.dated(2**31) == Dated()  # would be in the future: from before the ids went round


def test_a_server_that_goes_back_begins_anew() -> None:
    samples = _samples((10, 100, 100), (20, 200, 200), (15, 300, 300), (25, 400, 400))
    assert samples.dated(12) == Dated(None, Lsn(300))
    again = _samples((10, 100, 100), (20, 90, 200))
    assert again.dated(12) == Dated(None, Lsn(200))


def test_forgetting_samples_makes_dates_wider_and_nothing_else() -> None:
    samples, exact = _samples(kept_max=16), _samples(kept_max=10_000)
    for n in range(1, 500):
        one = Sample(10 * n, Lsn(100 * n), Lsn(100 * n + 5))
        samples.add(one)
        exact.add(one)
    for id_ in range(1, 4_980, 7):
        wide, narrow = samples.dated(id_), exact.dated(id_)
        assert wide.after is None or (narrow.after is not None and narrow.after.covers(wide.after))
        assert wide.before is not None
        assert narrow.before is not None
        assert wide.before.covers(narrow.before)
