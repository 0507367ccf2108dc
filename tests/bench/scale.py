"""How an audit takes many tables, and many drifted rows: seconds to the first table, all seconds, and peak memory.

Two servers as in `pair`. The many tables are small; the wide drift is in one table of few columns, every row of which
differs on the follower.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import IO

from bench.pair import DATABASE, both
from connectors.embedded import Cluster, Workspace, find_binaries

Row = tuple[str, ...]
HEADER = ("what", "seconds to the first table", "seconds", "peak MiB", "drift in the journal", "exit code")
_SETTINGS: dict[str, str | int] = {
    "shared_buffers": "400MB",
    "max_wal_size": "4GB",
    "autovacuum": "off",
    "max_locks_per_transaction": 1024,
}
ROWS_EACH = 20
_BATCH = 250


@dataclass(frozen=True, slots=True)
class Audited:
    """One audit as a whole process."""

    what: str
    first: float
    seconds: float
    peak_mib: float
    drifted: int
    code: int

    def row(self) -> Row:
        return (
            self.what, f"{self.first:.1f}", f"{self.seconds:.1f}", f"{self.peak_mib:.0f}", f"{self.drifted:,}",
            str(self.code),
        )  # fmt: skip


def bench(tables: int, drifted: int) -> list[Row]:
    """An audit of `tables` small tables, and one of a table with `drifted` rows that all differ."""
    with Workspace() as workspace, _servers(workspace) as (leader, follower):
        both([lambda: create_many(_in(leader), tables), lambda: create_many(_in(follower), tables)])
        both([lambda: _wide(leader, drifted, "a"), lambda: _wide(follower, drifted, "b")])
        _linked(leader, follower)
        what = {
            "many.*": f"{tables:,} tables of {ROWS_EACH} rows",
            "public.wide": f"{drifted:,} rows, all of them drifted",
        }
        urls = leader.url(DATABASE), follower.url(DATABASE)
        return [audit(said, *urls, pattern, workspace.path).row() for pattern, said in what.items()]


@contextmanager
def _servers(workspace: Workspace) -> Iterator[tuple[Cluster, Cluster]]:
    binaries = find_binaries(15)
    leader, follower = (Cluster.create(workspace, name, binaries, settings=_SETTINGS) for name in ("one", "two"))
    for cluster in (leader, follower):
        cluster.sql(f"create database {DATABASE}")
        cluster.sql("create schema many", database=DATABASE)
    yield leader, follower


def _in(cluster: Cluster) -> Callable[[str], object]:
    return lambda statements: cluster.sql(statements, database=DATABASE)


def create_many(sql: Callable[[str], object], tables: int) -> None:
    """Keys of text, of numbers and of both, in turn. In several transactions: one holds a lock for each table."""
    keys = (
        "id bigint primary key, name text",
        "id bigint, name text primary key",
        "id int, name text not null, primary key (name, id)",
    )
    for start in range(0, tables, _BATCH):
        made = [
            f"create table many.t{n} ({keys[n % 3]}, amount numeric(12,2), at timestamptz, paid boolean);"
            f"insert into many.t{n} select i, 'name ' || i, i * 1.5, '2026-01-01', i % 2 = 0 "
            f"from generate_series(1, {ROWS_EACH}) i;"
            for n in range(start, min(start + _BATCH, tables))
        ]
        sql("".join(made))


def _wide(cluster: Cluster, rows: int, note: str) -> None:
    cluster.sql("create table wide (id bigint primary key, note text)", database=DATABASE)
    cluster.sql(f"insert into wide select i, '{note}' || i from generate_series(1, {rows}) i", database=DATABASE)
    cluster.sql("vacuum analyze wide", database=DATABASE)


def _linked(leader: Cluster, follower: Cluster) -> None:
    """A subscription that carries changes alone: what is there stays as it is."""
    leader.sql("create publication scale for all tables", database=DATABASE)
    follower.sql(
        f"create subscription scale connection '{leader.dsn(DATABASE)}' publication scale with (copy_data = false)",
        database=DATABASE,
    )


def audit(what: str, leader: str, follower: str, tables: str, folder: Path, *more: str) -> Audited:
    """`trueup audit` of the tables of two URLs, watched from outside."""
    journal = folder / f"{abs(hash((what, *more)))}.db"
    words = [
        str(Path(sys.executable).parent / "trueup"), "audit", "--leader", leader, "--follower",
        follower, "--table", tables, "--journal", str(journal), "--format", "json",
        "--output", str(folder / "report.json"), *more,
    ]  # fmt: skip
    began = time.monotonic()
    process = subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert process.stderr is not None
    firsts: list[float] = []
    said: list[str] = []
    reader = Thread(target=_first_table, args=(process.stderr, firsts, said))
    reader.start()
    peak = _peak(process)
    reader.join()
    process.stderr.close()
    seconds = time.monotonic() - began
    if not (folder / "report.json").exists():
        raise RuntimeError(f"the audit left no report: {''.join(said[-20:])}")
    report = json.loads((folder / "report.json").read_text())
    drifted = sum(sum(entry["drift"].values()) for entry in report["tables"])
    return Audited(what, (firsts or [began])[0] - began, seconds, peak, drifted, process.returncode)


def _first_table(told: IO[str], firsts: list[float], said: list[str]) -> None:
    """When the first table was done, and the last lines told."""
    for line in told:
        said[:] = [*said[-20:], line]
        if not firsts and (": match" in line or ": drift" in line or " rows, " in line):
            firsts.append(time.monotonic())


def _peak(process: subprocess.Popen[str]) -> float:
    """The process's peak of resident memory, in MiB; waits for its end."""
    peak = 0
    status = Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
        lines = status.read_text().splitlines()
        peak = max([peak, *(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))])
        time.sleep(0.1)
    return peak / 1024
