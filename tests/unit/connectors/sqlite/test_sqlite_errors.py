"""Errors of SQLite: the text that a trigger chose is not told."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from connectors.sqlite.errors import translated
from verifier.errors import Permanent


def test_what_a_trigger_raises_is_not_told() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(
            "create table t (v text);create trigger r before insert on t begin select raise(abort, 'card 4111'); end"
        )
        with pytest.raises(Permanent, match="SQLITE_CONSTRAINT_TRIGGER") as caught, translated("writing", "here"):
            connection.execute("insert into t values ('x')")
    assert "4111" not in str(caught.value)
