"""A fault of trueup itself, met on the command line."""

from __future__ import annotations

from importlib import import_module

import pytest

from trueup import exits


def test_it_shows_its_calls_and_no_row_that_it_quotes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(**_: object) -> int:
        raise KeyError("4111" * 4)

    front = import_module("trueup.cli.main")
    monkeypatch.setattr(front, "application", lambda _: broken)
    assert front.outcome(["audit"]) == exits.UNVERIFIED
    told = capsys.readouterr().err
    assert "41114111" not in told
    assert "in broken" in told
    assert told.endswith("this is a fault of trueup itself; nothing was verified\n")
