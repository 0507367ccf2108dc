"""Table of contents of the fixtures. Each module says what it offers; none is imported by a test directly.

Tests against real servers wait for what other processes do, and a machine that is busy elsewhere can make a wait too
short. There a test whose wait ran out is run once more, and the summary names it (`-rR`). What was found wrong is never
forgiven: any other failure counts at once, and so does every failure of the tests that hold verdicts against facts or
kill us, of the conformance suites, of laws, exploration and simulation.
"""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from hypothesis import settings

_REAL_SERVERS = ("acceptance", "integration")
_WAITED = [r"not within \d", r"TimeoutExpired", r"in vain"]
_NO_SECOND_CHANCE = ("truth", "killed", "live", "evidence", "standby", "apply", "interrupted")
_LONGEST_FIRST = ("integration", "acceptance", "conformance", "simulation")
_TESTS = Path(__file__).parent

settings.register_profile("patient", settings.default, deadline=None)  # what an example takes is the machine's affair
settings.load_profile("patient")

# What a script starts with `&` ignores Ctrl-C, and what `nohup` starts a closed terminal; so would every program that
# the tests start and try that on. A handler of ours is not inherited.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda number, frame: None)

pytest_plugins = [
    "fixtures.aside",  # a third worker runs what needs no server, beside those that wait for servers
    "fixtures.servers",  # pg_trio, postgres_server, versioned_server: PostgreSQL, started once per session
    "fixtures.databases",  # database, trio_database: a fresh database for one test
    "fixtures.parallel_apply",  # parallel_database: PostgreSQL 18, whose subscriber applies in parallel
    "fixtures.mysql_servers",  # mariadb_pair, mysql_pair: a leader with a replica each, started once per session
    "fixtures.typed_servers",  # typed_servers: a table with a column of every type, on every engine
    "fixtures.network",  # proxy: a TCP proxy that stops, hangs, cuts and delays
    "fixtures.connect_server",  # connect_server: answers as Kafka Connect does
    "fixtures.kafka",  # kafka_stack, schema_registry: broker, Kafka Connect with Debezium, started once per session
    "fixtures.running",  # served: a shop on three servers, and the configuration of a daemon that watches it
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that wait for servers come first: the last files of two workers should be short ones."""

    def place(item: pytest.Item) -> int:
        folder = item.path.relative_to(_TESTS).parts[0]
        return _LONGEST_FIRST.index(folder) if folder in _LONGEST_FIRST else len(_LONGEST_FIRST)

    items.sort(key=place)
    for item in items:
        waits = item.path.relative_to(_TESTS).parts[0] in _REAL_SERVERS
        if waits and not any(word in item.path.stem for word in _NO_SECOND_CHANCE):
            item.add_marker(pytest.mark.flaky(reruns=1, reruns_delay=2, only_rerun=_WAITED))
