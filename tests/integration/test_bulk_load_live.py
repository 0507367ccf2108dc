"""A bulk load does not drown its neighbours: while a table waits to be read again because of one transaction that was
too large to follow key by key, a wrong row of another table is proven by the stream.
"""

from __future__ import annotations

import pytest
from fixtures.running import Served

from connectors.embedded import pause_replay, resume_replay

pytestmark = pytest.mark.postgres

ROWS = 200_000
BEND = """
create function bend() returns trigger language plpgsql as $$ begin new.amount := new.amount + 1; return new; end $$;
create trigger bend before update on orders for each row when (new.note = 'bend') execute function bend();
alter table orders enable replica trigger bend;
"""


def test_a_wrong_row_is_proven_while_the_table_of_a_bulk_load_is_still_dirty(served: Served) -> None:
    served.write(period="24h", mode="off", edit=lambda text: text[: text.index("    invariants:")])
    served.subscriber.sql(BEND)
    standby = served.world.trio.standby
    with served.daemon() as daemon:

        def dirty() -> float:
            return daemon.metric("trueup_dirty_chunks", table="public.ledger") or 0

        daemon.until_ready()
        pause_replay(standby)  # a chunk is read once all followers have applied what was changed there
        served.leader.sql(f"insert into ledger select g, g % 10, 1 from generate_series(1001, {1000 + ROWS}) g")
        served.leader.sql("update orders set note = 'bend' where id = 7")
        daemon.until(lambda: daemon.metric("trueup_drift_rows") == 1, "the row that was bent behind the load", 120)
        assert dirty() > 0
        ((place, found),) = served.drift().items()
        assert place == ("subscriber", "public.orders", ("7",))
        assert (found["evidence"], found["method"]) == ("proven", "visibility")
        read = daemon.metric("trueup_dirty_rows_total") or 0
        served.subscriber.sql("delete from ledger where id = 5000")  # which only reading it again can find
        resume_replay(standby)
        served.leader.sql("update orders set note = 'bend' where id = 8")
        drift = {("public.orders", ("7",)), ("public.orders", ("8",)), ("public.ledger", ("5000",))}
        daemon.until(lambda: {place[1:] for place in served.drift()} == drift, "the other wrong rows", 120)
        daemon.until(lambda: dirty() == 0, "the table of the load", 120)
        assert (daemon.metric("trueup_dirty_rows_total") or 0) - read >= ROWS
        assert daemon.metric("trueup_stream_blind_tables") == 0
        assert "stream_blind" not in daemon.actions()
        assert {place[1:] for place in served.drift()} == drift
        daemon.until_ready()
