"""`python -m stack`: up brings everything, a change flows, down leaves no process and no file."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import yaml
from confluent_kafka import Consumer
from fixtures.program import ok, trueup
from stack.download import Jars

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.mysql]


class Stack:
    """The command, with a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, what: str) -> subprocess.CompletedProcess[str]:
        tests = Path(__file__).parents[1]
        environment = {**os.environ, "TRUEUP_STACK": str(self.folder), "PYTHONPATH": str(tests)}
        command = [sys.executable, "-m", "stack", what]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)

    def processes(self) -> list[int]:
        """Every process that names the folder in its arguments."""
        found = []
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if os.fsencode(self.folder) in entry.read_bytes():
                    found.append(int(entry.parent.name))
            except OSError:
                continue  # it ended meanwhile
        return found


@pytest.fixture
def stack(kafka_classes: Jars) -> Iterator[Stack]:
    # Not below pytest's own folder: PostgreSQL's account may not enter that.
    with tempfile.TemporaryDirectory(prefix="trueup-stack-test-") as outer:
        Path(outer).chmod(0o755)
        made = Stack(Path(outer) / "stack")
        yield made
        made("down")


def test_up_brings_a_shop_whose_changes_reach_kafka_and_down_leaves_nothing(stack: Stack) -> None:
    up = stack("up")
    assert up.returncode == 0, up.stderr
    servers = ["leader", "standby", "subscriber", "mariadb-leader", "mariadb-replica", "mysql-leader", "mysql-replica"]
    servers += ["kafka", "connect", "registry"]
    assert [line.split()[:2] for line in up.stdout.splitlines()[:10]] == [[name, "up"] for name in servers]
    assert stack("status").returncode == 0
    (group,) = yaml.safe_load((stack.folder / "trueup.yaml").read_text())["groups"]
    password = (stack.folder / "password").read_text()
    assert password not in up.stdout + (stack.folder / "trueup.yaml").read_text()

    with psycopg.connect(group["leader"]["url"], password=password, autocommit=True) as leader:
        leader.execute("update orders set status = 'paid' where id = 17")
    consumer = Consumer(
        {
            "bootstrap.servers": group["stream"]["kafka"]["bootstrap_servers"],
            "group.id": str(uuid.uuid4()),
            "auto.offset.reset": "earliest",
            "log_level": 0,
        }
    )
    consumer.subscribe([f"{group['stream']['kafka']['topic_prefix']}.public.orders"])
    try:
        messages = (consumer.poll(1) for _ in range(60))
        assert any(message is not None and b'"op":"u"' in (message.value() or b"") for message in messages)
    finally:
        consumer.close()

    for name in ("mariadb", "mysql"):
        ok("connector", "status", "--config", stack.folder / f"{name}.yaml")
        ok("audit", "--config", stack.folder / f"{name}.yaml")
    sink = ok("connector", "status", "--connector", "crossing-sink", "--config", stack.folder / "crossing.yaml")
    assert "what it writes can equal the leader" in sink.out
    until = time.monotonic() + 60
    while "match: 5,500 rows" not in (audit := trueup("audit", "--config", stack.folder / "crossing.yaml")).out:
        assert time.monotonic() < until, f"{audit}, not within 60 s"

    assert stack("down").returncode == 0
    assert (stack.processes(), stack.folder.exists()) == ([], False)
    assert stack("status").returncode == 1


def test_down_refuses_a_folder_that_it_did_not_make(stack: Stack) -> None:
    stack.folder.mkdir()
    (stack.folder / "thesis.txt").touch()
    down = stack("down")
    assert (down.returncode, (stack.folder / "thesis.txt").exists()) == (1, True)
    assert "is not a stack of ours" in down.stderr
