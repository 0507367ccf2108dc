"""How long a whole `trueup audit --since` takes: nothing changed, and ten rows changed on the follower alone.

A daemon follows leader and subscriber meanwhile, as it does in production; the earlier run is a whole audit.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fixtures.program import DaemonProcess

from bench.machine import Series, Used, run
from bench.pair import DATABASE, TABLE, Pair, postgres_pair
from bench.speed import told
from connectors.embedded import Cluster, Workspace

CHANGED = 10
HEADER = ("", "wall s, median", "least-most", "its CPU s", "servers' CPU s", "peak MiB", "runs")
_SETTINGS = """\
journal: journal.db
http: {{listen: 127.0.0.1:0}}
groups:
  - name: bench
    leader: {{url: "{leader}"}}
    followers:
      - {{name: subscriber, url: "{follower}", stream: {{pgoutput: {{slot: own, publication: own, create: true}}}}}}
    stream: {{kind: pgoutput, pgoutput: {{slot: trueup, publication: bench}}}}
    tables: {{include: ["public.{table}"]}}
    scan: {{period: 24h}}
"""


def bench(rows: int, rounds: int) -> list[Sequence[str]]:
    """Rows of the table on the page."""
    with Workspace() as workspace, tempfile.TemporaryDirectory() as place:
        pair, folder = postgres_pair(workspace, rows), Path(place)
        assert isinstance(pair.leader, Cluster)
        assert isinstance(pair.follower, Cluster)
        pair.leader.sql("select pg_create_logical_replication_slot('trueup', 'pgoutput')", database=DATABASE)
        file = folder / "trueup.yaml"
        file.write_text(_SETTINGS.format(leader=_url(pair.leader), follower=_url(pair.follower), table=TABLE))
        with DaemonProcess(file, seconds=60.0) as daemon:
            daemon.until_ready(seconds=900.0)
            whole = Series("whole audit")
            whole.runs.append(told("whole", _audit(pair, folder, [], 0)))
            run_id = _report(folder)["run"]
            nothing = _series(f"nothing changed, {rows:,} rows", rounds, lambda: _since(pair, folder, run_id, 0))
            pair.spoil(CHANGED)
            changed = f"{CHANGED} rows changed on the follower alone"
            touched = _series(changed, rounds, lambda: _since(pair, folder, run_id, CHANGED))
        return [_row(one) for one in (whole, nothing, touched)]


def _series(name: str, rounds: int, measure: Callable[[], Used]) -> Series:
    measure()  # not counted: the daemon may still be writing what was changed
    found = Series(name)
    for _ in range(rounds):
        time.sleep(1.5)
        found.runs.append(told(name, measure()))
    return found


def _since(pair: Pair, folder: Path, run_id: str, drift: int) -> Used:
    used = _audit(pair, folder, ["--since", run_id], drift)
    assert _report(folder)["since"]["tables"] == {"touched": 1, "whole": 0}, _report(folder)["tables"][0]["since"]
    return used


def _audit(pair: Pair, folder: Path, words: Sequence[str], drift: int) -> Used:
    script = str(Path(sys.executable).with_name("trueup"))
    how = ["--config", "trueup.yaml", "--quiet", "--format", "json", "--output", "report.json"]
    used = run([script, "audit", *how, *words], pair.servers, folder)
    assert used.code == (1 if drift else 0), used.output[-3000:]
    (table,) = _report(folder)["tables"]
    assert len(table["rows_drifted"]) == table["drift"]["mismatched"] == drift, table
    return used


def _report(folder: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return report


def _url(server: Cluster) -> str:
    return f"postgresql://postgres:{server.password}@127.0.0.1:{server.port}/{DATABASE}"


def _row(one: Series) -> Sequence[str]:
    return (
        one.name, f"{one.median('seconds'):.2f}", one.span(), f"{one.median('cpu'):.2f}",
        f"{one.median('servers'):.2f}", f"{one.median('peak_mib'):.0f}", str(len(one.runs)),
    )  # fmt: skip
