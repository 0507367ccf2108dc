"""Servers settle how they are compared while each of them waits for nobody but itself."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from worlds.memory import MemoryWorld

from trueup.bootstrap.engines import Endpoints
from trueup.pool import Pool
from verifier.errors import Unreachable
from verifier.look import Role
from verifier.ports import Identity


class _Meeting:
    """A server that says who it is when all of them are asked, or not at all."""

    def __init__(self, inner: Any, everyone: threading.Barrier, trouble: Unreachable | None = None) -> None:
        self.inner, self.everyone, self.trouble = inner, everyone, trouble

    def identity(self) -> Identity:
        self.everyone.wait()
        if self.trouble is not None:
            raise self.trouble
        found: Identity = self.inner.identity()
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def _endpoints(leader: Unreachable | None = None, follower: Unreachable | None = None) -> Endpoints:
    world, everyone = MemoryWorld(Role.STANDBY), threading.Barrier(2, timeout=20)
    one: Any = _Meeting(world.leader, everyone, leader)
    other: Any = _Meeting(world.follower, everyone, follower)
    return Endpoints(one, {"f": other})


@pytest.mark.parametrize("away", [None, Unreachable("f does not answer")])
def test_all_are_asked_at_the_same_time(away: Unreachable | None) -> None:
    pool = Pool(workers=2)
    try:
        assert _endpoints(follower=away).settle(pool.gather) == ([] if away is None else ["f: f does not answer"])
    finally:
        pool.close()


def test_nothing_is_settled_without_the_leader() -> None:
    pool = Pool(workers=2)
    try:
        with pytest.raises(Unreachable, match=r"^the leader does not answer$"):
            _endpoints(leader=Unreachable("the leader does not answer")).settle(pool.gather)
    finally:
        pool.close()
