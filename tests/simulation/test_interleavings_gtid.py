"""Every interleaving of a few transactions with the visibility rule over global transaction ids (MariaDB, MySQL).

As in `test_interleavings`: the follower is faithful, so each verdict of drift is a flaw, and each condition taken away
must yield some.
"""

from __future__ import annotations

from functools import cache

import pytest
from interleavings.explore import Explored, explore
from interleavings.identified import Engine, IdentifiedRule, Servers

MARIADB, MYSQL = Engine.MARIADB, Engine.MYSQL


@cache
def servers(engine: Engine, chain: int, others: int, ordered: bool) -> Servers:
    return Servers(engine, chain, others, ordered)


def explored(engine: Engine, chain: int, others: int, ordered: bool, **rule: object) -> Explored:
    world = servers(engine, chain, others, ordered)
    found = explore(world, IdentifiedRule(world, **rule))  # type: ignore[arg-type]  # the explorer knows no types of it
    print(f"{engine.value} {chain}+{others} ordered={ordered} {rule}: {found}")
    return found


@pytest.mark.parametrize(
    ("engine", "chain", "others"), [(MARIADB, 2, 1), (MARIADB, 2, 0), (MYSQL, 2, 0), (MYSQL, 1, 1)]
)
def test_never_errs(engine: Engine, chain: int, others: int) -> None:
    found = explored(engine, chain, others, not others)
    assert found.flaws == 0
    assert found.verdicts["equal"] > 100


@pytest.mark.parametrize(("engine", "others"), [(MARIADB, 1), (MYSQL, 0)])
def test_a_stream_that_begins_in_the_middle_never_errs(engine: Engine, others: int, full: bool) -> None:
    found = explored(engine, 1, 1 if full else others, False, joins=True)
    assert found.flaws == 0
    assert found.verdicts["equal"] > 20


@pytest.mark.parametrize(("engine", "others"), [(MARIADB, 1), (MYSQL, 0)])
def test_over_a_pruned_window_it_refuses_nothing_that_it_judged_before(engine: Engine, others: int) -> None:
    pruned, whole = explored(engine, 1, others, False, prunes=True), explored(engine, 1, others, False)
    assert pruned.verdicts == whole.verdicts


@pytest.mark.parametrize(
    ("engine", "without", "chain", "others"),
    [
        (MARIADB, "barrier behind the looks", 1, 0),
        (MARIADB, "the table of positions", 1, 0),
        (MARIADB, "mark of the stream's start", 1, 0),
        (MYSQL, "barrier behind the looks", 1, 0),
        (MYSQL, "what is owned (our)", 1, 0),
        (MYSQL, "what is owned (their)", 1, 0),
        (MYSQL, "what is owned (barrier)", 1, 0),
        (MYSQL, "the leader's set before its look", 1, 0),
        (MYSQL, "the follower's set before its look", 1, 0),
        (MYSQL, "mark of the stream's start", 1, 0),
        (MYSQL, "holes", 1, 1),
    ],
)
def test_it_errs_without(engine: Engine, without: str, chain: int, others: int) -> None:
    joins = without == "mark of the stream's start"
    assert explored(engine, chain, others, not others, joins=joins, without=without).flaws > 0
