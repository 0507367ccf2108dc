"""What is special about an engine stands in the engine's own folder, and each folder has the same files."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ENGINES = ("generic", "mysql", "postgres", "sqlite")
EVERY = {"__init__.py", "catalog.py", "errors.py", "replica.py", "session.py", "statements.py", "watermark.py"}
WITH_FEATURES = {"cutover.py", "features.py"}
"""Of engines whose indexes, constraints and sequences are known: not of whatever SQLAlchemy reaches."""
LOGGED = {
    "activity.py", "agreement.py", "canonical.py", "checkup.py", "expressions.py", "keyorders.py", "keys.py", "lag.py",
    "positions.py", "probing.py", "reading.py", "rights.py",
}  # fmt: skip
"""Of engines that hash rows themselves and keep a log of their own."""
NAMES = {"postgresql", "postgres", "mysql", "mariadb", "sqlite", "duckdb"}
SAME_FOR_ALL = (
    "verifier", "reconciler", "dashboards", "connectors/client", "connectors/files", "connectors/kafka",
    "connectors/memory", "connectors/sql", "trueup/audit", "trueup/cli", "trueup/demo", "trueup/services",
)  # fmt: skip
"""Who judges, mends, tells and serves; what wires them (`trueup/bootstrap`) chooses the engine."""


@pytest.mark.parametrize("engine", ENGINES)
def test_each_engine_has_the_same_files(engine: str) -> None:
    wanted = EVERY | (WITH_FEATURES if engine != "generic" else set())
    wanted |= LOGGED if engine in ("mysql", "postgres") else set()
    assert sorted(wanted - {path.name for path in (ROOT / "connectors" / engine).iterdir()}) == []


@pytest.mark.parametrize("room", SAME_FOR_ALL)
def test_nobody_here_asks_which_engine_it_is(room: str) -> None:
    files = sorted((ROOT / room).rglob("*.py"))
    assert files
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in files
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Compare) and asks([node.left, *node.comparators])
    ]
    assert found == []


def asks(sides: list[ast.expr]) -> bool:
    """Is a name of an engine among what is compared?"""
    parts = [part for side in sides for part in ast.walk(side)]
    return any(isinstance(part, ast.Constant) and part.value in NAMES for part in parts)


def test_the_check_itself_notices() -> None:
    for code in ("x.dialect == 'mysql'", "x.dialect not in ('mysql', 'mariadb')"):
        (node,) = (each for each in ast.walk(ast.parse(code)) if isinstance(each, ast.Compare))
        assert asks([node.left, *node.comparators])
