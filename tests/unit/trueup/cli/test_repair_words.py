"""The statements of repairs as people see them, who may run them by hand."""

from __future__ import annotations

import io
from typing import Any

from fixtures.terminal import Terminal

from trueup.cli.repair import _statements

HOSTILE = "a\n; drop table orders; --\x1b[2J"


def told(out: io.StringIO, statement: str) -> list[str]:
    row: dict[str, Any] = {"id": "r1", "table": "public.orders", "key": HOSTILE, "result": "applied", "note": ""}
    _statements([{**row, "statement": statement}], out)
    return out.getvalue().split("\n")


def test_a_key_does_not_leave_its_comment() -> None:
    comment, *rest = told(io.StringIO(), "update t\nset v = '\x1b'")
    assert comment == "-- r1 public.orders a\\n; drop table orders; --\\x1b[2J: applied"
    assert rest == ["update t", "set v = '\x1b'", ""], "as it is, to be run"


def test_a_value_does_not_steer_a_terminal() -> None:
    _, said, *rest = told(Terminal(), "update t\nset v = '\x1b'")
    assert said == "-- with escapes in place of what cannot be printed; as it is with --format json"
    assert rest == ["update t", "set v = '\\x1b'", ""]
