"""A daemon that is paused looks at nothing, stays ready, and finds after the pause what happened in it."""

from __future__ import annotations

import time

import pytest
from fixtures.running import Served

pytestmark = pytest.mark.postgres


def test_pause_and_resume_of_a_running_daemon(served: Served) -> None:
    with served.daemon() as daemon:
        daemon.until_ready()
        assert daemon.metric("trueup_paused", group="shop") == 0
        assert served.ask("pause", "shop").code == 0
        daemon.until(lambda: daemon.metric("trueup_paused", group="shop") == 1, "the pause")
        before = daemon.at_rest("trueup_rows_compared_total", follower="subscriber")
        served.subscriber.sql("update orders set status = 'damaged' where id = 7")
        served.leader.sql("update orders set note = 'touched in the pause' where id in (7, 8)")
        served.world.caught_up()
        daemon.until(lambda: (daemon.metric("trueup_touched_keys_pending", follower="subscriber") or 0) >= 2, "keys")
        time.sleep(1.5)
        assert daemon.metric("trueup_rows_compared_total", follower="subscriber") == before, "a paused daemon scanned"
        assert daemon.metric("trueup_touched_keys_pending", follower="subscriber") == 2
        assert daemon.health("/readyz") == (200, "")
        lag = served.ask("lag", "--seconds", "0.5", "--format", "json").json
        assert [one["table"] for one in lag["paused"]] == [None]
        assert served.ask("resume", "shop").out == "nothing is paused\n"
        daemon.until(lambda: daemon.metric("trueup_touched_keys_pending", follower="subscriber") == 0, "the keys")
        daemon.until(
            lambda: (daemon.metric("trueup_rows_compared_total", follower="subscriber") or 0) > (before or 0), "a scan"
        )
        assert daemon.metric("trueup_paused", group="shop") == 0
        daemon.until_ready()
