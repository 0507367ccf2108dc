"""How fast a whole audit process is, beside its floor and beside reladiff, in the same run, taking turns.

The floor is the bare digest of the table on both servers at the same time: what is left when trueup itself costs
nothing. CPU seconds are told too, because they bear a busy machine better than the clock does.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import psycopg

from bench.machine import Series, Used, measured, run
from bench.pair import DATABASE, TABLE, Pair, both
from connectors.embedded import Cluster, Workspace
from connectors.postgres.expressions import RowForm
from connectors.postgres.replica import PostgresReplica
from verifier.keyrange import KeyRange
from verifier.table import TableName

SPOILED = 10_000
_THREADS = (1, 2, 4)


def bench(rows: int, rounds: int, *, spoil: bool = True) -> tuple[list[Series], list[Series], str]:
    """Series on equal tables, series with `SPOILED` rows that differ, and remarks."""
    with Workspace() as workspace, tempfile.TemporaryDirectory() as place:
        pair, folder = Pair.create(workspace, rows), Path(place)
        _trueup(pair, folder, drift=0)  # not counted: it compiles the modules
        _reladiff(pair, folder, 1)
        tried = {n: _reladiff(pair, folder, n) for n in _THREADS}
        best = min(tried, key=lambda n: tried[n].seconds)
        floor, ours, rival = Series("floor: two bare digests"), Series("trueup audit"), Series(f"reladiff -j{best}")
        for _ in range(rounds):
            floor.runs.append(_floor(pair))
            ours.runs.append(_trueup(pair, folder, drift=0))
            rival.runs.append(_reladiff(pair, folder, best))
        equal = [floor, ours, rival]
        remarks = "threads tried: " + ", ".join(f"-j{n} {used.seconds:.1f} s" for n, used in tried.items())
        if not spoil:
            return equal, [], remarks
        pair.spoil(SPOILED)
        ours, rival = Series("trueup audit"), Series(f"reladiff -j{best}")
        for turn in range(rounds):
            ours.runs.append(_trueup(pair, folder, drift=SPOILED))
            if turn % 2 == 0:
                rival.runs.append(_reladiff(pair, folder, best, drift=SPOILED))
        return equal, [ours, rival], remarks


def _url(cluster: Cluster) -> str:
    return f"postgresql://postgres:{cluster.password}@127.0.0.1:{cluster.port}/{DATABASE}"


def _trueup(pair: Pair, folder: Path, *, drift: int) -> Used:
    """A process of the console script, with a fresh journal, its report checked."""
    report = folder / "report.json"
    for left in folder.glob("trueup.db*"):
        left.unlink()
    words = ["--leader", _url(pair.leader), "--follower", _url(pair.follower), "--table", f"public.{TABLE}"]
    script = str(Path(sys.executable).with_name("trueup"))
    used = run([script, "audit", *words, "--format", "json", "--output", str(report)], pair.clusters, folder)
    (table,) = json.loads(report.read_text())["tables"]
    assert table["rows"] == {"leader": pair.rows, "follower": pair.rows}, table["rows"]
    assert table["drift"]["mismatched"] == drift, table["drift"]
    assert used.code == (1 if drift else 0), used.output
    return used


def _reladiff(pair: Pair, folder: Path, threads: int, *, drift: int = 0) -> Used:
    """Checked too: it lists a removed and an added line per row that differs."""
    script = str(Path(sys.executable).with_name("reladiff"))
    sides = [_url(pair.leader), TABLE, _url(pair.follower), TABLE]
    used = run([script, *sides, "-k", "id", "-c", "%", "-j", str(threads)], pair.clusters, folder)
    lines = [line for line in used.output.splitlines() if line[:2] in ("- ", "+ ")]
    assert len(lines) == 2 * drift, used.output[-2000:]
    return used


def _floor(pair: Pair) -> Used:
    replica = PostgresReplica("leader", pair.leader.url(DATABASE))
    try:
        table = replica.table(TableName("public", TABLE))
        replica.adopt(RowForm.RECORD, frozenset({table.name}))
        sql, values = replica.statements(table).digest(KeyRange(), "1")
    finally:
        replica.close()

    def ask(cluster: Cluster) -> object:
        with psycopg.connect(cluster.dsn(DATABASE), autocommit=True) as connection:
            connection.execute("set max_parallel_workers_per_gather = 0; set jit = off")
            return connection.execute(sql.encode(), values).fetchone()

    with measured(pair.clusters) as used:
        ours, theirs = both([lambda: ask(pair.leader), lambda: ask(pair.follower)])
    assert ours == theirs
    return used
