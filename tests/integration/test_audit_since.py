"""An audit of what was touched since an earlier one, beside a daemon that follows leader and subscriber."""

from __future__ import annotations

from typing import Any

import pytest
from fixtures.audit_program import gone_on_from, keys_since
from fixtures.running import Served

pytestmark = pytest.mark.postgres


def _followed(served: Served) -> None:
    own = f"stream: {{pgoutput: {{slot: own_{served.slot}, publication: own, create: true}}}}, subscription:"
    served.write(period="1h", edit=lambda text: text.replace("subscription:", own))


def _drifted(report: dict[str, Any]) -> set[tuple[str, str, str, str]]:
    return {
        (entry["follower"], entry["table"], row["kind"], "/".join(map(str, row["key"].values())))
        for entry in report["tables"]
        for row in entry["rows_drifted"]
    }


def test_only_what_was_touched_on_either_side_is_looked_at(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trueup.audit.since.CAUGHT_UP_SECONDS", 60.0)  # a daemon that others keep waiting is late
    _followed(served)
    with served.daemon() as daemon:
        daemon.until_ready()
        daemon.until(lambda: len(served.journal("select * from trueup_sources")) == 1, "the subscriber's own stream")
        base, nothing = gone_on_from(served.audit)
        assert set(keys_since(nothing).values()) == {0}
        assert nothing["since"]["tables"] == {"touched": 8, "whole": 0}

        served.subscriber.sql("update orders set status = 'rogue' where id in (3, 4, 5)")
        served.subscriber.sql("delete from items where order_id = 9")
        served.leader.sql("update orders set note = 'touched' where id in (5, 6)")
        served.world.caught_up()
        found = served.audit("--since", base["run"], code=1)
        rogue = {("subscriber", "public.orders", "mismatched", str(key)) for key in (3, 4)}
        rogue.add(("subscriber", "public.items", "missing", "9/1"))
        assert _drifted(found) == rogue  # the subscription brought row 5 as a whole, so it is right again
        places = {(follower, table, tuple(key.split("/"))) for follower, table, _, key in rogue}
        daemon.until(lambda: set(served.drift()) == places, "the daemon's own verdict, without any scan")
        assert "rogue_write" in daemon.actions()
        assert keys_since(found)["subscriber", "public.orders"] == 4
        assert keys_since(found)["standby", "public.orders"] == 2
        assert keys_since(found)["subscriber", "public.items"] == 1
        assert found["since"]["cannot_see"]

        # what that run found is looked at again by the next one, and what was altered as a whole
        served.leader.sql("alter table ledger add column more int default 7")
        served.subscriber.sql("alter table ledger add column more int default 8")
        served.subscriber.sql("update orders set status = 'new' where id = 3")
        last = served.audit("--since", found["run"], code=1)
        rogue.remove(("subscriber", "public.orders", "mismatched", "3"))
        altered = {row for row in _drifted(last) if row[:3] == ("subscriber", "public.ledger", "mismatched")}
        assert len(altered) == 100
        assert _drifted(last) == rogue | altered
        assert keys_since(last)["subscriber", "public.ledger"] is None
        assert keys_since(last)["standby", "public.orders"] == 0


def test_what_is_not_followed_is_looked_at_as_a_whole(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trueup.audit.since.CAUGHT_UP_SECONDS", 60.0)  # a daemon that others keep waiting is late
    served.write(period="1h")
    with served.daemon() as daemon:
        daemon.until_ready()
        base, _ = gone_on_from(served.audit, "standby")
        served.subscriber.sql("update orders set status = 'rogue' where id = 3")
        found = served.audit("--since", base["run"], code=1)
        assert _drifted(found) == {("subscriber", "public.orders", "mismatched", "3")}
        assert keys_since(found)["standby", "public.orders"] == 0
        assert keys_since(found)["subscriber", "public.orders"] is None
    monkeypatch.undo()
    served.leader.sql("update orders set note = 'nobody follows' where id = 1")
    served.world.caught_up()
    away = served.audit("--since", base["run"], code=1)
    assert _drifted(away) == _drifted(found)
    assert set(keys_since(away).values()) == {None}
