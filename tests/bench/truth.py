"""The tests of truth at full size, and their numbers as a table."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

_TESTS = Path(__file__).resolve().parents[1]
HEADER = (
    "method", "follower", "seconds", "row changes/s", "keys judged", "of them by the daemon", "in flight",
    "rows scanned", "planted", "found", "missed", "false drift", "disturbed",
)  # fmt: skip


_TRUTH, _MYSQL = "test_truth.py", "test_truth_mysql.py"
THROUGH = {
    "log": f"{_TRUTH}::test_drift_is_exactly_what_differs",
    "kafka": f"{_TRUTH}::test_through_kafka_while_the_connector_is_restarted",
    "sink": f"{_TRUTH}::test_a_follower_that_a_sink_feeds",
    "binlog": f"{_MYSQL}::test_drift_is_exactly_what_differs",
    "binlog-kafka": f"{_MYSQL}::test_through_kafka_while_the_connector_is_restarted",
}
"""How followers are fed and followed: PostgreSQL's own replication, the same with the stream through Kafka, MariaDB fed
by a sink, and replicas of MariaDB and MySQL, by their own logs and through Kafka."""


def bench(keys: int, through: str, seconds: float = 60.0) -> list[list[str]]:
    """Rows of the table, of one of `THROUGH`; CalledProcessError if a test fails, which says what was false or
    missed."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "truth.jsonl"
        wanted = {
            "TRUEUP_TRUTH_KEYS": str(keys),
            "TRUEUP_TRUTH_SECONDS": str(seconds),
            "TRUEUP_TRUTH_OUTPUT": str(output),
        }
        test = str(_TESTS / "integration" / THROUGH[through])
        command = [sys.executable, "-m", "pytest", "-q", "-s", "-n0", "--show-capture=no", test]
        subprocess.run(command, env=os.environ | wanted, check=True, cwd=_TESTS.parent)
        return [_row(json.loads(line)) for line in output.read_text().splitlines()]


CAUSES = (
    "follower", "seconds", "row changes/s beside", "applied wrongly", "found", "false drift", "with its true cause",
    "undecided", "with another cause", "lost", "doubled", "reordered", "altered",
)  # fmt: skip


def causes(each: int, rate: float) -> list[list[str]]:
    """`each` wrong applications of every kind, per kind of follower. CalledProcessError if a test fails."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "wrong.jsonl"
        wanted = {
            "TRUEUP_WRONG_EACH": str(each),
            "TRUEUP_WRONG_RATE": str(rate),
            "TRUEUP_WRONG_OUTPUT": str(output),
        }
        test = str(_TESTS / "integration/test_causes_misapplied.py")
        command = [sys.executable, "-m", "pytest", "-q", "-n0", "--show-capture=no", test]
        subprocess.run(command, env=os.environ | wanted, check=True, cwd=_TESTS.parent)
        return [_causes_row(json.loads(line)) for line in output.read_text().splitlines()]


def _causes_row(told: dict[str, Any]) -> list[str]:
    planted = {kind: count for kind, count in told["planted"].items() if kind != "right"}
    wrong = sum(planted.values())
    missed, undecided, other = (len(told[name]) for name in ("missed", "undecided", "wrong"))
    by_cause: dict[str, int] = {}
    for kind, causes in told["causes"].items():
        true = kind.split()[0]
        by_cause[true] = by_cause.get(true, 0) + causes.get(true, 0)
    return [
        told["follower"], f"{told['seconds']:.0f}", f"{told['changes_per_second']:.0f}", str(wrong),
        str(wrong - missed), str(len(told["false"])), str(wrong - missed - undecided - other), str(undecided),
        str(other), *(str(by_cause.get(cause, 0)) for cause in ("lost", "doubled", "reordered", "altered")),
    ]  # fmt: skip


def _row(told: dict[str, Any]) -> list[str]:
    judged = told["judged_in_batches"] + told["judged_by_daemon"]
    return [
        told["method"], told["follower"], f"{told['seconds']:.0f}", f"{told['changes_per_second']:.0f}",
        f"{judged:,}", f"{told['judged_by_daemon']:,}", f"{told['moving']:,}", f"{told['scanned']:,}",
        str(told["planted"]), str(told["found"]), str(len(told["missed"])), str(len(told["false"])),
        ", ".join(f"{count} {what}" for what, count in sorted(told["disturbed"].items())),
    ]  # fmt: skip
