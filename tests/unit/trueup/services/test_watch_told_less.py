"""A follower that tells less while its replication does not run has not gone back, whatever it told in between."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from connectors.memory.clock import VirtualClock
from trueup.services.watch import SharedLag, WatchService
from verifier.errors import Unreachable
from verifier.lag import LagState, LagTracker
from verifier.position import Lsn


class Told:
    """A server that tells what the script says; None: it does not answer."""

    def __init__(self, *script: int | None) -> None:
        self.script = list(script)

    def position(self) -> Lsn:
        told = self.script.pop(0)
        if told is None:
            raise Unreachable("being started anew")
        return Lsn(told)


@pytest.mark.parametrize("script", [(500, 300), (500, None, 300), (500, None, None, 300)])
@pytest.mark.parametrize("why", ["no worker runs", ""])
def test_a_subscriber_that_was_started_anew_and_has_no_worker_yet_did_not_go_back(
    script: tuple[int | None, ...], why: str
) -> None:
    clock = VirtualClock()
    leader: Any = Told(*[500] * len(script))
    world: Any = SimpleNamespace(
        leader=leader, followers={"eu": Told(*script)}, sight=None, placed=None, clock=clock, fed=lambda name: False
    )
    watch = WatchService(world, SharedLag(LagTracker()), hindrances={"eu": lambda: why})
    for _ in script:
        clock.sleep(1.0)
        watch.tick(clock.now())
    (lag,) = watch.lag.told(clock.now())[0]
    assert lag.state is (LagState.LAGGING if why else LagState.REWOUND)
