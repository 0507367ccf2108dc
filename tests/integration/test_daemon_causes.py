"""The daemon tells of each drift why it came about: planted on a subscriber in every way, on real servers."""

from __future__ import annotations

import json
import time
from importlib.resources import files
from typing import Any

import jsonschema
import pytest
from fixtures.running import Served

pytestmark = pytest.mark.postgres

LOST_UPDATE, ALTERED, LOST_DELETE, LOST_SECOND, LOST_INSERT = 1, 2, 3, 10, 2001
ROGUE, ROGUE_QUIET, ROGUE_DELETE, DOUBLED, DELETED_QUIET = 5, 6, 8, 9, 7
TRIGGER = f"""
create function misapply() returns trigger language plpgsql as $$
begin
  if tg_op = 'DELETE' then return case when old.id = {LOST_DELETE} then null else old end; end if;
  if new.id in ({LOST_UPDATE}, {LOST_INSERT}) then return null; end if;
  if new.id = {LOST_SECOND} and new.status = 'sent' then return null; end if;
  if new.id = {ALTERED} then new.status := 'bent'; end if;
  return new;
end $$;
create trigger misapply before insert or update or delete on orders for each row execute function misapply();
alter table orders enable replica trigger misapply;
"""


OPEN = "select key, cause, since from trueup_drifts where state = 'open'"


def test_every_cause_that_can_be_told_is_told(served: Served) -> None:
    served.write(period="2s")
    served.subscriber.sql(TRIGGER)
    with served.daemon() as daemon:
        daemon.until_ready()
        time.sleep(3)  # versions are dated once a second; a busy machine may be late
        first = [ROGUE, ROGUE_DELETE, DOUBLED, LOST_SECOND]
        looks = (daemon.metric("trueup_touched_keys_verified_total") or 0) + 2 * len(first)
        served.leader.sql("update orders set status = 'paid' where id = any(%s)", (first,))
        daemon.until(lambda: (daemon.metric("trueup_touched_keys_verified_total") or 0) >= looks, "the first changes")
        time.sleep(3)
        served.leader.sql(f"""
            update orders set status = 'paid' where id in ({LOST_UPDATE}, {ALTERED});
            update orders set status = 'sent' where id in ({DOUBLED}, {LOST_SECOND});
            delete from orders where id = {LOST_DELETE};
            insert into orders values ({LOST_INSERT}, 'new', 1, null);
        """)
        daemon.until(lambda: len(served.journal(OPEN)) == 5, "what was applied wrongly")
        served.subscriber.sql(f"""
            update orders set status = 'mine' where id in ({ROGUE}, {ROGUE_QUIET});
            delete from orders where id in ({ROGUE_DELETE}, {DELETED_QUIET});
            update orders set status = 'paid' where id = {DOUBLED};
        """)
        daemon.until(lambda: len(served.journal(OPEN + " and cause is not null")) == 10, "every cause")
        daemon.until(lambda: daemon.metric("trueup_drift_causes_total", cause="doubled") == 1, "the metric")
        told = {int(key[0]): (one["cause"], one["since"]) for (_, _, key), one in served.drift().items()}
        counted = {
            cause: daemon.metric("trueup_drift_causes_total", follower="subscriber", cause=cause)
            for cause in ("lost", "altered", "rogue", "doubled", "unknown", "reordered")
        }
        traces = {key: _trace(served, key) for key in (LOST_SECOND, 500)}
        page = served.ask("trace", "orders", str(LOST_SECOND))
    causes = {key: cause for key, (cause, _) in told.items()}
    assert causes == {
        LOST_UPDATE: "lost",
        ALTERED: "altered",
        LOST_DELETE: "lost",
        LOST_SECOND: "lost",
        LOST_INSERT: "lost",
        ROGUE: "rogue",
        ROGUE_QUIET: "rogue",
        ROGUE_DELETE: "rogue",
        DOUBLED: "doubled",
        DELETED_QUIET: "unknown",  # an absent row has no version, and nothing is remembered of it
    }
    commits = {since for key, (cause, since) in told.items() if cause in ("lost", "altered")}
    assert len(commits) == 1  # one transaction was applied wrongly in five ways
    assert commits.pop().startswith("lsn:")
    assert counted == {"lost": 4, "altered": 1, "rogue": 3, "doubled": 1, "unknown": 1, "reordered": 0}
    _traced(traces, told[LOST_SECOND][1])
    assert page.code == 1
    assert "mismatched (status): holds what it was after step 1; lost at step 2" in page.out


def _trace(served: Served, key: int) -> dict[str, Any]:
    done = served.ask("trace", "public.orders", str(key), "--format", "json", "--mask", "amount")
    assert done.code == (0 if key == 500 else 1), done
    text = files("trueup").joinpath("schemas/trace.json").read_text(encoding="utf-8")
    jsonschema.validate(done.json, json.loads(text), cls=jsonschema.Draft202012Validator)
    told: dict[str, Any] = done.json
    return told


def _traced(traces: dict[int, dict[str, Any]], since: str) -> None:
    """A slot's log cannot be read back: the changes are those that the daemon kept with the drift."""
    lost = traces[LOST_SECOND]
    assert (lost["key"], lost["history"]["source"]) == ({"id": LOST_SECOND}, "journal")
    assert [(one["operation"], one["row"]["status"]) for one in lost["changes"]] == [
        ("update", "paid"),
        ("update", "sent"),
    ]
    assert lost["leader"]["row"]["status"] == "sent"
    hidden = {one["row"]["amount"] for one in (*lost["changes"], lost["leader"], *lost["followers"])}
    assert len(hidden) == 1  # equal values look equal
    assert hidden.pop().startswith("masked:")
    followers = {one["follower"]: one for one in lost["followers"]}
    assert (followers["standby"]["state"], followers["standby"]["cause"]) == ("equal", None)
    subscriber = followers["subscriber"]
    assert (subscriber["state"], subscriber["cause"], subscriber["step"], subscriber["since"]) == (
        "mismatched", "lost", 2, since,
    )  # fmt: skip
    assert (subscriber["holds"], subscriber["columns"]) == (1, {"status": {"leader": "sent", "follower": "paid"}})
    quiet = traces[500]
    assert (quiet["changes"], {one["state"] for one in quiet["followers"]}) == ([], {"equal"})
    assert quiet["history"]["note"].startswith("a log that was read by pgoutput cannot be read back")
