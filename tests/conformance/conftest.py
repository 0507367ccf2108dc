"""Worlds of a leader and a follower for the contracts of replicas: one engine in turn, started once per file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import worlds.duckdb
import worlds.memory
import worlds.mysql
import worlds.postgresql
import worlds.sqlite  # noqa: F401 - register their worlds
from worlds import WORLDS, World


@pytest.fixture(scope="module", params=sorted(WORLDS))
def standing(request: pytest.FixtureRequest) -> Iterator[World]:
    yield from WORLDS[request.param](request)


@pytest.fixture
def world(standing: World) -> Iterator[World]:
    """Empty, on both sides."""
    yield standing
    standing.clear()
