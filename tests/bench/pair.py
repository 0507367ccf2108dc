"""Two PostgreSQL servers that hold the same big table; the second is a logical subscriber of the first."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from connectors.embedded import Cluster, Workspace, find_binaries

DATABASE = "bench"
TABLE = "measured"
_SETTINGS: dict[str, str | int] = {
    "shared_buffers": "800MB",
    "max_wal_size": "4GB",
    "autovacuum": "off",
    "max_parallel_workers": 0,
}
_SCHEMA = f"""
create table {TABLE} (
  id bigint primary key, customer_id int not null, status varchar(20) not null, amount decimal(12,2) not null,
  note text, paid boolean, created_at timestamptz(6) not null, updated_at timestamp(6), score double precision,
  tags jsonb)
"""
_ROWS = f"""
insert into {TABLE} select g, 1 + g % 50000, (array['new','paid','packed','shipped','back'])[1 + g % 5],
  (g * 7919::bigint % 10000000) / 100.0,
  case when g % 10 < 3 then null when g % 50 = 3 then '' when g % 50 = 4 then 'Größe ' || md5(g::text)
       else 'note ' || md5(g::text) end,
  case when g % 3 = 0 then null else g % 2 = 0 end, timestamptz '2024-01-01 00:00:00+00' + g * interval '7.000011 s',
  case when g % 4 = 0 then null else timestamp '2025-01-01' + g * interval '3.000007 s' end,
  case when g % 6 = 0 then null else g / 7.0 end,
  case when g % 5 = 0 then null else jsonb_build_object('n', g % 1000, 'tag', 't' || g % 77) end
from generate_series(1, %s) g
"""


@dataclass(frozen=True, slots=True)
class Pair:
    leader: Cluster
    follower: Cluster
    rows: int

    @property
    def clusters(self) -> tuple[Cluster, Cluster]:
        return self.leader, self.follower

    @classmethod
    def create(cls, workspace: Workspace, rows: int) -> Pair:
        """Loaded on both sides, vacuumed and linked when this returns."""
        binaries = find_binaries(15)

        def server(name: str) -> Cluster:
            cluster = Cluster.create(workspace, name, binaries, settings=_SETTINGS)
            cluster.sql(f"create database {DATABASE}")
            cluster.sql(_SCHEMA, database=DATABASE)
            cluster.sql(_ROWS.replace("%s", str(rows)), database=DATABASE)
            cluster.sql(f"vacuum (freeze, analyze) {TABLE}", database=DATABASE)
            cluster.sql("checkpoint")
            return cluster

        with ThreadPoolExecutor(2) as pool:
            leader, follower = pool.map(server, ("leader", "follower"))
        leader.sql(f"create publication bench for table {TABLE}", database=DATABASE)
        follower.sql(
            f"create subscription bench connection '{leader.dsn(DATABASE)}' publication bench with (copy_data = false)",
            database=DATABASE,
        )
        return cls(leader, follower, rows)

    def spoil(self, rows: int) -> None:
        """Change one column of `rows` rows on the follower, spread evenly over the table."""
        step = self.rows // rows
        self.follower.sql(
            f"update {TABLE} set amount = amount + 0.01 where id % {step} = 7 and id <= {step * rows}",
            database=DATABASE,
        )
        self.follower.sql(f"vacuum analyze {TABLE}", database=DATABASE)


def both(calls: list[Callable[[], object]]) -> list[object]:
    """All at the same time."""
    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]
