"""How fast a whole audit process is, beside its floor and beside a rival, in the same run, taking turns.

The floor is the bare digest of the table on both servers at the same time: what is left when trueup itself costs
nothing. CPU seconds are told too, because they bear a busy machine better than the clock does. The rival is reladiff at
the number of threads that was best here, or for a MariaDB pair pt-table-checksum, which finds chunks and no rows.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from stack.mysql_servers import ADMIN, MysqlServer

from bench.machine import Series, Server, Used, load, measured, run
from bench.pair import COLUMNS, DATABASE, TABLE, Pair, both, cross_pair, mariadb_pair, postgres_pair
from connectors.embedded import Cluster, Workspace
from trueup.audit.lineup import Lineup
from trueup.audit.request import Request
from trueup.bootstrap.engines import open_endpoints
from trueup.bootstrap.servers import Address
from verifier.keyrange import KeyRange
from verifier.policy import Limits
from verifier.table import TableName

SPOILED = 10_000
_THREADS = (1, 2, 4)
_PATIENT = Limits(statement_seconds=600.0)


@dataclass(frozen=True, slots=True)
class Contest:
    """`threads` that the rival is tried with; `lists` says whether it names rows."""

    title: str
    make: Callable[[Workspace, int], Pair]
    rival: str
    threads: tuple[int, ...]
    lists: bool
    without: str = ""
    """A column that neither compares."""


CONTESTS = {
    "speed": Contest(
        "two PostgreSQL 15 servers, leader and subscriber", postgres_pair, "reladiff", _THREADS, lists=True
    ),
    "mariadb": Contest(
        "two MariaDB 10.11 servers, leader and replica", mariadb_pair, "pt-table-checksum", (1,), lists=False
    ),
    "cross": Contest("PostgreSQL 15 against MariaDB 10.11", cross_pair, "reladiff", _THREADS, lists=True),
}


def bench(contest: Contest, rows: int, rounds: int) -> tuple[list[Series], list[Series], str]:
    """Series on equal tables, series with `SPOILED` rows that differ, and remarks."""
    with Workspace() as workspace, tempfile.TemporaryDirectory() as place:
        pair, folder = contest.make(workspace, rows), Path(place)
        floor = _floor(contest, pair)
        _trueup(contest, pair, folder, 0)  # not counted: it compiles the modules
        tried = {n: told("tried", _rival(contest, pair, folder, n, 0)) for n in contest.threads}
        best = min(tried, key=lambda n: tried[n].seconds)
        name = f"{contest.rival} -j{best}" if len(tried) > 1 else contest.rival
        equal = [Series("floor: two bare digests"), Series("trueup audit"), Series(name)]
        for _ in range(rounds):
            equal[0].runs.append(told("floor", floor()))
            equal[1].runs.append(told("trueup, equal", _trueup(contest, pair, folder, 0)))
            equal[2].runs.append(told(f"{name}, equal", _rival(contest, pair, folder, best, 0)))
        remarks = "threads tried: " + ", ".join(f"-j{n} {used.seconds:.1f} s" for n, used in tried.items())
        drift = spoilt(rows)
        pair.spoil(drift)
        spoiled = [Series("floor: two bare digests"), Series("trueup audit"), Series(name)]
        for turn in range(rounds):
            spoiled[0].runs.append(told("floor", floor()))
            spoiled[1].runs.append(told("trueup, spoiled", _trueup(contest, pair, folder, drift)))
            if turn % 2 == 0:
                spoiled[2].runs.append(told(f"{name}, spoiled", _rival(contest, pair, folder, best, drift)))
        return equal, spoiled, remarks if len(tried) > 1 else ""


def spoilt(rows: int) -> int:
    """How many rows differ: one in three hundred of a smaller table."""
    return min(SPOILED, rows // 300)


def told(what: str, used: Used) -> Used:
    """Each run at once, for whoever waits."""
    print(
        f"{what}: {used.seconds:.1f} s, its CPU {used.cpu:.1f} s, servers' CPU {used.servers:.1f} s, "
        f"{used.peak_mib:.0f} MiB, load {load()}",
        flush=True,
    )
    return used


def _url(server: Server) -> str:
    if isinstance(server, Cluster):
        return f"postgresql://postgres:{server.password}@127.0.0.1:{server.port}/{DATABASE}"
    return server.url(DATABASE)


def _name(server: Server) -> TableName:
    return TableName("public" if isinstance(server, Cluster) else DATABASE, TABLE)


def _trueup(contest: Contest, pair: Pair, folder: Path, drift: int) -> Used:
    """A process of the console script, with a fresh journal, its report checked."""
    report = folder / "report.json"
    for left in folder.glob("trueup.db*"):
        left.unlink()
    words = ["--leader", _url(pair.leader), "--follower", _url(pair.follower), "--table", str(_name(pair.leader))]
    words += ["--exclude", f"{_name(pair.leader)}.{contest.without}"] if contest.without else []
    script = str(Path(sys.executable).with_name("trueup"))
    used = run([script, "audit", *words, "--format", "json", "--output", str(report)], pair.servers, folder)
    assert used.code == (1 if drift else 0), used.output[-3000:]
    (table,) = json.loads(report.read_text())["tables"]
    assert table["rows"] == {"leader": pair.rows, "follower": pair.rows}, table["rows"]
    assert table["drift"]["mismatched"] == drift, table["drift"]
    assert [list(row["columns"]) for row in table["rows_drifted"]] == [["amount"]] * drift
    return used


def _rival(contest: Contest, pair: Pair, folder: Path, threads: int, drift: int) -> Used:
    if contest.lists:
        return _reladiff(pair, folder, threads, drift, [name for name in COLUMNS if name != contest.without])
    return _pt_table_checksum(pair, folder, drift)


def _reladiff(pair: Pair, folder: Path, threads: int, drift: int, columns: Sequence[str]) -> Used:
    """Checked too: it lists a removed and an added line per row that differs."""
    script = str(Path(sys.executable).with_name("reladiff"))
    sides = [part for server in pair.servers for part in (_url(server).replace("mariadb://", "mysql://"), TABLE)]
    wanted = [word for name in columns for word in ("-c", name)]
    used = run([script, *sides, "-k", "id", *wanted, "-j", str(threads)], pair.servers, folder)
    lines = [line for line in used.output.splitlines() if line[:2] in ("- ", "+ ")]
    assert len(lines) == 2 * drift, used.output[-2000:]
    return used


def _pt_table_checksum(pair: Pair, folder: Path, drift: int) -> Used:
    """With its own choice of chunks and its 32-bit checksum; it waits until the replica has done the same."""
    leader, follower = pair.servers
    assert isinstance(leader, MysqlServer)
    assert isinstance(follower, MysqlServer)
    script = shutil.which("pt-table-checksum")
    assert script is not None, "apt-get install percona-toolkit"
    there = f"h=127.0.0.1,P={follower.port},u={ADMIN},p={follower.password}"
    leader.sql("create database if not exists percona")
    leader.sql("create or replace table percona.dsns (id int primary key, parent_id int, dsn varchar(255) not null)")
    leader.sql("insert into percona.dsns values (1, null, %s)", (there,))
    here = f"h=127.0.0.1,P={leader.port},u={ADMIN},p={leader.password}"
    told_by = f"dsn=h=127.0.0.1,P={leader.port},u={ADMIN},p={leader.password},D=percona,t=dsns"
    words = ["--tables", f"{DATABASE}.{TABLE}", "--recursion-method", told_by, "--no-version-check"]
    words += ["--no-check-binlog-format", "--empty-replicate-table", "--no-check-replication-filters"]
    used = run([script, here, *words], pair.servers, folder)
    (line,) = [line for line in used.output.splitlines() if line.endswith(f" {DATABASE}.{TABLE}")] or [used.output]
    found = line.split()
    assert found[1] == "0", used.output[-2000:]
    assert (int(found[2]) > 0) == bool(drift), used.output[-2000:]
    return used


def _floor(contest: Contest, pair: Pair) -> Callable[[], Used]:
    """Asks for both digests at the same time, by the scheme that an audit would choose; everything else is done."""
    leader, follower = Address("leader", _url(pair.leader)), Address("follower", _url(pair.follower))
    servers = open_endpoints(leader, [follower], _PATIENT)
    servers.settle()
    name = str(_name(pair.leader))
    request = Request((name,), {name: (contest.without,)} if contest.without else {})
    lineup = Lineup(servers.leader, servers.followers, request, servers.agreed.__contains__)
    side = lineup.side(lineup.table(_name(pair.leader)), "follower")

    def ask() -> Used:
        with measured(pair.servers) as used:
            ours, theirs = both([
                lambda: servers.leader.digest(side.compared.leader, KeyRange()),
                lambda: side.replica.digest(side.compared.follower, KeyRange()),
            ])  # fmt: skip
        assert ours.value.rows == theirs.value.rows == pair.rows
        return used

    return ask
