"""What is asked before an audit begins is asked again where a standby's recovery cancels it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from connectors.postgres import agreement
from verifier.errors import Temporary, Unreachable


@pytest.mark.parametrize(("error", "times"), [(Temporary("cancelled"), 10), (Unreachable("nobody answers"), 1)])
def test_what_may_pass_is_asked_again_and_a_server_that_is_away_is_not(
    monkeypatch: pytest.MonkeyPatch, error: Temporary, times: int
) -> None:
    monkeypatch.setattr(agreement, "_PAUSE_SECONDS", 0.0)
    asked: list[str] = []

    @contextmanager
    def borrow(doing: str) -> Iterator[None]:
        asked.append(doing)
        raise error
        yield

    replica: Any = SimpleNamespace(sessions=SimpleNamespace(borrow=borrow))
    with pytest.raises(type(error)):
        agreement._facts(replica, [])
    assert len(asked) == times
