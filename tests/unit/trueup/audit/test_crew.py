"""Several tables at a time: all of them, begun in order, and whoever fails or stops stops the others."""

from __future__ import annotations

import threading
import time

import pytest

from trueup.audit.crew import work


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_everything_is_done_once_and_begun_in_order(workers: int) -> None:
    begun: list[int] = []
    lock = threading.Lock()

    def one(item: int) -> bool:
        with lock:
            begun.append(item)
        time.sleep(0.002)
        return True

    work(range(20), one, workers)
    assert sorted(begun) == list(range(20))
    assert workers > 1 or begun == list(range(20))


def test_as_many_at_a_time_as_there_are_workers() -> None:
    meeting = threading.Barrier(3)
    work(range(3), lambda item: meeting.wait(60) >= 0, 3)


def test_one_worker_is_the_caller_itself() -> None:
    names: set[str] = set()
    work(range(3), lambda item: bool(names.add(threading.current_thread().name)) or True, 1)
    assert names == {threading.current_thread().name}


@pytest.mark.parametrize("workers", [1, 3])
def test_no_more_is_begun_once_one_says_so(workers: int) -> None:
    done: list[int] = []

    def one(item: int) -> bool:
        done.append(item)
        time.sleep(0.01)
        return item != 4

    work(range(2_000), one, workers)
    assert 4 in done
    assert len(done) == 5 if workers == 1 else len(done) < 2_000


@pytest.mark.parametrize("workers", [1, 3])
def test_the_first_error_is_raised_when_all_have_ended(workers: int) -> None:
    ended: list[int] = []

    def one(item: int) -> bool:
        if item == 1:
            raise KeyError("one")
        time.sleep(0.02)
        ended.append(item)
        return True

    with pytest.raises(KeyError, match="one"):
        work(range(500), one, workers)
    seen = len(ended)
    time.sleep(0.05)
    assert len(ended) == seen < 500
