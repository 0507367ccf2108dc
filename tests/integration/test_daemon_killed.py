"""Killed at any moment the daemon resumes: no change is skipped, no repair applied twice, the audit chain holds."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter

import psycopg
import pytest
from fixtures.program import trueup
from fixtures.running import Served

pytestmark = [pytest.mark.postgres]

# The follower damages what says so, once, and counts what the repairs write. Triggers under replication see only
# pg_catalog, so every name is qualified.
TRIGGERS = """
create table public.damaged (id bigint primary key);
create table public.written (id bigint, what text);
create function bend() returns trigger language plpgsql as $$
begin
  if new.note like 'bend%' and pg_catalog.current_setting('application_name') <> 'trueup-repair' then
    insert into public.damaged values (new.id) on conflict do nothing;
    new.amount := new.amount + 0.01;
  end if;
  return new;
end $$;
create trigger bend before update on orders for each row execute function bend();
alter table orders enable replica trigger bend;
create function tell() returns trigger language plpgsql as $$
begin
  if pg_catalog.current_setting('application_name') = 'trueup-repair' then
    insert into public.written values (coalesce(new.id, old.id), tg_op);
  end if;
  return null;
end $$;
create trigger tell after insert or update or delete on orders for each row execute function tell();
alter table orders enable always trigger tell;
"""
ROUNDS, EACH = 5, 8


class Writer:
    """Ordinary changes all the time, rollbacks among them, to rows that nobody damages."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._write, daemon=True)
        self.thread.start()

    def stop(self) -> None:
        self.stopping.set()
        self.thread.join(60)

    def _write(self) -> None:
        chance = random.Random(7)
        with psycopg.connect(self.dsn) as connection:
            while not self.stopping.wait(0.01):
                row = chance.randint(1, 400)
                if chance.random() < 0.2:
                    connection.execute("delete from orders where id = %s", (row,))
                else:
                    connection.execute(
                        "insert into orders values (%s, 'x', %s, null) on conflict (id) do update "
                        "set amount = excluded.amount",
                        (row, chance.randint(1, 99)),
                    )
                connection.rollback() if chance.random() < 0.1 else connection.commit()


def test_killed_again_and_again_it_skips_nothing_and_repairs_everything_once(served: Served) -> None:
    served.write(mode="apply, share_of_table: 1.0", period="1h")  # found by the stream or not at all
    served.subscriber.sql(TRIGGERS)
    chance = random.Random(11)
    daemon = served.daemon()
    daemon.until_ready()
    writer = Writer(served.leader.dsn)
    damaged: list[int] = []
    try:
        for turn in range(ROUNDS):
            rows = range(501 + turn * EACH, 501 + (turn + 1) * EACH)
            damaged += rows
            for row in rows:
                served.leader.sql("update orders set note = 'bend', status = 'sent' where id = %s", (row,))
                time.sleep(chance.random() * 0.1)
            time.sleep(chance.random() * 1.5)
            daemon.kill()
            # While nobody looks, the leader goes on: of this the journal knows nothing yet.
            served.leader.sql("update orders set note = 'bend' where id = %s", (901 + turn,))
            damaged.append(901 + turn)
            daemon = served.daemon()
    finally:
        writer.stop()
    served.world.caught_up()
    with daemon:
        told = served.subscriber.sql("select id from damaged order by 1")
        assert [row for (row,) in told] == sorted(damaged)
        wanted = len(damaged)
        daemon.until(lambda: served.subscriber.sql("select count(*) >= %s from written", (wanted,))[0][0], "repairs")
        daemon.until(lambda: daemon.metric("trueup_touched_keys_pending") == 0, "verified keys")
        daemon.until(lambda: daemon.metric("trueup_drift_rows") in (0, None), "no drift")
        daemon.until(lambda: daemon.metric("trueup_outbox_pending") == 0, "an empty outbox")
        daemon.until_ready()
        written = Counter(served.subscriber.sql("select id, what from written"))
        assert written == Counter((row, "UPDATE") for row in damaged)
        verified = {("public.orders", str(row)): "verified" for row in damaged}
        daemon.until(lambda: served.repairs() == verified, "verified repairs")
        question = "select id, status, amount, note from orders order by 1"
        assert served.subscriber.sql(question) == served.leader.sql(question)
        events = {event["id"]: event for event in served.events()}
        applied = [one for one in events.values() if one["type"] == "io.trueup.repair.applied.v1"]
        assert sorted(int(one["data"]["key"]["id"]) for one in applied) == sorted(damaged)
        assert daemon.health("/livez") == (200, "")


def test_a_second_daemon_is_refused_and_the_first_goes_on(served: Served) -> None:
    with served.daemon() as first:
        second = trueup("run", "--config", served.file)
        assert second.code == 4
        assert "another daemon (default on" in second.err
        assert f"process {first.process.pid}) runs on this journal; stop it, or give this one a journal" in second.err
        first.until_ready()
        assert first.health("/livez") == (200, "")
        assert first.stop() == 0
    # In good order it gave its lease back, so that the next one starts at once.
    assert trueup("run", "--config", served.file, "--seconds", "1").code == 0
