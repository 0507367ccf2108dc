"""A journal on each engine that can hold one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures.journal_samples import Open

from connectors.journal.opening import Journal, open_journal


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> str | Path:
    """Where the journal is: a file, or the URL of an empty PostgreSQL database."""
    if request.param == "sqlite":
        return tmp_path / "journal.db"
    url: str = request.getfixturevalue("database").url
    return url


@pytest.fixture
def opened(target: str | Path) -> Iterator[Open]:
    """Open the journal (again); all are closed at the end."""
    journals: list[Journal] = []

    def open_it(group: str = "shop", **more: object) -> Journal:
        journals.append(open_journal(target, group, **more))  # type: ignore[arg-type]
        return journals[-1]

    yield open_it
    for journal in journals:
        journal.close()


@pytest.fixture
def journal(opened: Open) -> Journal:
    return opened()
