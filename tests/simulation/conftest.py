"""Options of the simulated world: `--seeds N` random histories, `--full` for the biggest explorations."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from simulated.seeding import journals

SEEDS_IN_THE_SUITE = 1_000


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seeds", type=int, help="how many seeds to simulate, from --seed-from on")
    parser.addoption("--seed-from", type=int, help="the first seed (default 0)")
    parser.addoption("--full", action="store_true", help="explore interleavings at full size (minutes)")


@pytest.fixture(scope="session")
def full(pytestconfig: pytest.Config) -> bool:
    # Run from the top, pytest meets this file too late for its options to exist.
    return bool(pytestconfig.getoption("--full", default=False))


@pytest.fixture(scope="session")
def seeds(pytestconfig: pytest.Config) -> range:
    return _asked(pytestconfig, SEEDS_IN_THE_SUITE)


@pytest.fixture(scope="session")
def few_seeds(pytestconfig: pytest.Config) -> range:
    """For the longer histories: a sixteenth in the suite, all of them when somebody asks for a number."""
    return _asked(pytestconfig, SEEDS_IN_THE_SUITE // 16)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Where the journals of the histories lie; `shop` is the group of all of them."""
    with journals("shop") as made:
        yield made


def _asked(config: pytest.Config, otherwise: int) -> range:
    first = config.getoption("--seed-from", default=None) or 0
    return range(first, first + (config.getoption("--seeds", default=None) or otherwise))
