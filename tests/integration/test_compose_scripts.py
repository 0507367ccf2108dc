"""The scripts that docker-compose.yml runs inside its PostgreSQL containers, run here against real servers."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import psycopg
import pytest
from fixtures.missing import missing
from fixtures.servers import binaries_of

from connectors.embedded import Cluster, Workspace

SCRIPTS = Path(__file__).parent.parent.parent / "deploy" / "compose"
PASSWORD = "only4tests"

pytestmark = pytest.mark.postgres


def run(cluster: Cluster, script: str, folder: Path, **more: str) -> None:
    """As the image's entry point does: shell scripts by sh, SQL by psql, as the super user of that server."""
    (folder / "pg_hba.conf").touch()
    environment = {
        "PATH": os.environ["PATH"],
        "PGHOST": "127.0.0.1",
        "PGPORT": str(cluster.port),
        "PGPASSWORD": cluster.password,
        "PGDATA": str(folder),
        "POSTGRES_PASSWORD": PASSWORD,
        **more,
    }
    file = str(SCRIPTS / script)
    psql = ["psql", "-v", "ON_ERROR_STOP=1", "-q", "-U", "postgres", "-d", "shop", "-f", file]
    command = ["sh", file] if script.endswith(".sh") else psql
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


def as_debezium(leader: Cluster) -> None:
    """What the connector does at its start and while idle, with its own login."""
    parts = psycopg.conninfo.conninfo_to_dict(leader.dsn("shop"))
    login = psycopg.conninfo.make_conninfo(**{**parts, "user": "debezium", "password": PASSWORD})
    with psycopg.connect(login, autocommit=True) as connection:
        tables = "orders, items, inventory, ledger, balances, trueup_heartbeat"
        connection.execute(f"alter publication dbz_publication set table {tables}")
        connection.execute("insert into trueup_heartbeat values (1, now())")
    with psycopg.connect(f"{login} replication=database", autocommit=True) as connection:
        connection.execute("CREATE_REPLICATION_SLOT debezium TEMPORARY LOGICAL pgoutput NOEXPORT_SNAPSHOT")


def test_the_shop_is_made_and_the_subscriber_follows(postgres_workspace: Workspace, tmp_path: Path) -> None:
    if shutil.which("psql") is None:
        missing("no psql", "apt-get install postgresql-client")
    binaries = binaries_of(15)
    leader = Cluster.create(postgres_workspace, "compose-leader", binaries)
    subscriber = Cluster.create(postgres_workspace, "compose-subscriber", binaries)
    try:
        for cluster in (leader, subscriber):
            cluster.sql("create database shop")
        for script in ("shop.sql", "rows.sql", "leader.sh"):
            run(leader, script, tmp_path)
        assert "replication" in (tmp_path / "pg_hba.conf").read_text()
        run(subscriber, "shop.sql", tmp_path)
        run(subscriber, "subscriber.sh", tmp_path, LEADER=f"host=127.0.0.1 port={leader.port}")
        count = "select (select count(*) from orders), (select count(*) from items), (select count(*) from ledger)"
        until = time.monotonic() + 60
        while subscriber.sql(count, database="shop") != [(10_000, 20_000, 10_000)]:
            assert time.monotonic() < until, subscriber.sql(count, database="shop")
            time.sleep(0.1)
        as_debezium(leader)
        leader.sql("update orders set status = 'paid' where id = 7", database="shop")
        while subscriber.sql("select status from orders where id = 7", database="shop") != [("paid",)]:
            assert time.monotonic() < until
            time.sleep(0.05)
        broken = """select count(*) from balances b
            where balance <> (select sum(amount) from ledger l where l.account_id = b.account_id)"""
        assert leader.sql(broken, database="shop") == [(0,)]
        subscriber.sql("drop subscription shop", database="shop")
    finally:
        for cluster in (subscriber, leader):
            cluster.stop("immediate")
