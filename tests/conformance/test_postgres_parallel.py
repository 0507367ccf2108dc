"""A subscriber that applies streamed transactions in parallel workers shows them in the order in which it publishes
them, and lacks at most the last one: what the visibility rule builds on.

The worker that leads waits for a parallel one to have finished a transaction before it goes on behind that commit; and
the parallel one moves the progress inside its commit, as the other does, before it shows.
"""

from __future__ import annotations

import threading
import time
from itertools import pairwise
from pathlib import Path

import psycopg
import pytest
from fixtures.parallel_apply import ParallelDatabase
from fixtures.workload_truth import TruthRun

from connectors.postgres.replica import PostgresReplica
from verifier.position import Lsn, Position
from verifier.table import TableName

pytestmark = pytest.mark.postgres
T = TableName("public", "t")
SCHEMA = "create table t (id int primary key, v int not null, filler text)"
WRITERS = 3


def counted(dsn: str, row: int, stop: threading.Event, known: list[tuple[int, int, Lsn, Lsn]]) -> None:
    """Raise one row's counter, in transactions that are large enough to be streamed; `known` gets row, value, and where
    the log was before and after the commit."""
    here = "select pg_current_wal_insert_lsn()::text"
    with psycopg.connect(dsn) as connection:
        for value in range(1, 100_000):
            connection.execute("update t set v = %s where id = %s", (value, row))
            connection.execute("update t set filler = repeat('x', 900) where id / 1000 = %s", (row,))
            before = connection.execute(here).fetchone()
            connection.commit()
            after = connection.execute(here).fetchone()
            connection.commit()
            assert before is not None
            assert after is not None
            known.append((row, value, Lsn.parse(before[0]), Lsn.parse(after[0])))
            if stop.is_set():
                return


def test_parallel_workers_show_at_most_one_transaction_later_than_they_publish(
    parallel_database: ParallelDatabase,
) -> None:
    site = parallel_database
    site.subscribe(SCHEMA)
    rows = range(1, WRITERS + 1)
    for row in rows:
        site.leader.sql(f"insert into t select {row} * 1000 + g, 0, '' from generate_series(1, 200) g")
        site.leader.sql(f"insert into t values ({row}, 0)")
    site.caught_up()
    subscriber = PostgresReplica("follower", site.subscriber.url)
    table = subscriber.table(T)
    stop = threading.Event()
    known: list[tuple[int, int, Lsn, Lsn]] = []
    writers = [threading.Thread(target=counted, args=(site.leader.dsn, row, stop, known)) for row in rows]
    for writer in writers:
        writer.start()
    seen: list[tuple[dict[int, int], Position, Position]] = []
    deadline = time.monotonic() + 60
    try:
        while len({str(one[0]) for one in seen}) < 40:
            look = subscriber.rows(table, [(row,) for row in rows])
            shown = {row: int(look.value[(row,)].values["v"] or 0) for row in rows}
            seen.append((shown, look.low, look.high))
            assert time.monotonic() < deadline, f"only {len(known)} transactions in 60 s"
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    assert site.streamed() >= 20
    for shown, low, high in seen:
        for row, value, before, _ in known:
            assert value > shown[row] or high.covers(before), "shown, and not published"
        late = [(row, value) for row, value, _, after in known if low.covers(after) and value > shown[row]]
        assert len(late) <= 1, f"published, and not shown: {late}"
    for (earlier, _, _), (later, _, _) in pairwise(seen):
        assert all(later[row] >= earlier[row] for row in rows)
    subscriber.close()


def test_drift_on_a_subscriber_that_applies_in_parallel_is_exactly_what_differs(
    parallel_database: ParallelDatabase, tmp_path: Path
) -> None:
    run = TruthRun(parallel_database, "visibility", "subscriber", tmp_path, 4.0, 4_000, rate=600.0)
    run.disturb_seconds, run.bulks, run.awaited = 0.2, True, ("applied in parallel", "pauses")
    told = run.run()
    assert (told.trouble, told.false, told.missed) == ([], [], [])
    assert told.found == told.planted >= 8
    assert told.disturbed["applied in parallel"] >= 1
    assert told.disturbed["pauses"] >= 1
    assert told.methods["visibility"] > told.methods.total() / 2
    assert parallel_database.streamed() >= 1
