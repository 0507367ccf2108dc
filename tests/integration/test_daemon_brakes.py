"""A daemon whose scan is held back by its brakes reads nothing more, says why, counts the seconds, and goes on."""

from __future__ import annotations

from typing import Any

import pytest
from fixtures.running import Served

pytestmark = pytest.mark.postgres

SQL = "select count(*) from balances where account = 999"
BRAKES = f'brakes: {{load: [{{sql: "{SQL}", max: 0}}], rows_per_second: 50000}}\n    repair:'


def braked(text: str) -> str:
    return text.replace("repair:", BRAKES, 1)


def test_load_on_the_servers_holds_the_scan_back_until_it_is_over(served: Served) -> None:
    """A limit that cannot be asked is a mistake of the configuration, told before anything is read."""
    served.write(edit=lambda text: braked(text).replace("balances where account = 999", "nowhere"))
    done = served.ask("run")
    assert done.code == 3, done
    assert "the load limit 'select count(*) from nowhere' cannot be asked: " in done.err
    assert 'relation "nowhere" does not exist' in done.err
    served.write(period="1s", edit=braked)
    with served.daemon() as daemon:

        def told(what: str, **labels: str) -> float:
            return daemon.metric(f"trueup_{what}_total", **labels) or 0.0

        def why() -> list[Any]:
            return [line["why"] for line in daemon.said() if line.get("action") == "throttled"]

        daemon.until_ready()
        assert told("throttle_seconds", group="shop", reason="load") == 0
        served.leader.sql("insert into balances values (999, 0)")
        daemon.until(lambda: told("throttle_seconds", group="shop", reason="load") > 0, "the brake")
        before = daemon.at_rest("trueup_rows_compared_total", follower="standby") or 0.0
        daemon.until(lambda: told("throttle_seconds", group="shop", reason="load") >= 1.0, "seconds of waiting")
        assert told("rows_compared", follower="standby") == before, "a scan that is held back read rows"
        assert why()[0].startswith(f"waiting: {SQL!r} tells 1 on ")
        served.leader.sql("delete from balances where account = 999")
        daemon.until(lambda: told("rows_compared", follower="standby") > before, "the scan")
        assert any(line.startswith("going on after") and line.endswith("(load)") for line in why())
