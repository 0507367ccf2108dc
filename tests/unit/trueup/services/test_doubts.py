"""A table that cannot be verified is counted by what is the matter, and no longer once it can be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fixtures.memory_group import MemoryServers, T, described

from connectors.journal.opening import Journal, open_journal
from connectors.memory.replica import MemoryReplica
from trueup.metrics import Scrape
from trueup.services.scan import Pace, ScanService
from trueup.services.verify import VerifyService
from verifier.errors import Forbidden, Misconfigured, Permanent, Temporary, TrueupError, Unreachable, Unsound
from verifier.outcome import Equal, Moving
from verifier.policy import ScanPolicy, SettlePolicy
from verifier.settle import Leaving
from verifier.table import Column, Family, Table, TableName

BARE = Table(TableName("public", "bare"), (Column("id", Family.INTEGER, "bigint", False),), ())
NARROW = TableName("public", "narrow")


class Refusing:
    """A follower that says this when it is asked to describe a table; None: nothing is wrong."""

    def __init__(self, real: MemoryReplica) -> None:
        self.real = real
        self.problem: TrueupError | None = None

    def table(self, name: TableName) -> Table:
        if self.problem is not None:
            raise self.problem
        return self.real.table(name)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


class Shop(MemoryServers):
    """A table with a key, one without, and one of which the follower lacks a column."""

    def __init__(self, folder: Path) -> None:
        super().__init__(described(T), BARE)
        self.server.create(described(NARROW))
        narrow = replace(described(NARROW), columns=described(NARROW).columns[:1])
        self.followers["one"].shelves.create(narrow)
        self.insert(T, range(10))
        self.catch_up()
        self.theirs = Refusing(MemoryReplica("one", self.followers["one"]))
        self.journal: Journal = open_journal(folder / "journal.db", "shop")
        self.world = self.grouped(replicas={"one": self.theirs}, fresh_seconds=0.0)
        pace = Pace(1.0, rest=0.0)
        self.scan = ScanService(self.world, self.journal.scans, self.journal.stream, ScanPolicy(), pace)
        patience = SettlePolicy(give_up_seconds=60.0)
        self.verify = VerifyService(self.world, "one", self.journal.stream, patience)

    def counted(self) -> dict[str, int]:
        """As the metric tells it, after some turns of the scan."""
        for _ in range(3):
            self.clock.at += 40.0  # longer than a table is left alone
            for _ in range(6):
                self.scan.tick(self.clock.now())
        parts = SimpleNamespace(journal=self.journal, world=self.world, scan=self.scan, verify={"one": self.verify})
        runtime: Any = parts
        return dict(Scrape("test", {}, list)._unverified(runtime, "one"))


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path)
    yield made
    made.journal.close()


def test_no_key_and_a_missing_column(shop: Shop) -> None:
    assert shop.counted() == {"no_key": 1, "incomparable": 1}


@pytest.mark.parametrize(
    ("problem", "reason"),
    [
        (Forbidden("no right"), "forbidden"),
        (Unreachable("nobody answers"), "unreachable"),
        (Temporary("cancelled"), "cancelled"),
        (Permanent("no such table"), "schema"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_server_answers(shop: Shop, problem: TrueupError, reason: str) -> None:
    shop.theirs.problem = problem
    assert shop.counted() == {reason: 3}
    shop.theirs.problem = None
    assert shop.counted() == {"no_key": 1, "incomparable": 1}


def test_a_law_that_was_broken_is_of_no_other_kind() -> None:
    from verifier.doubt import Doubt, of_error

    assert of_error(Unsound("the stream went back")) is Doubt.OTHER
    assert of_error(Misconfigured("a column of the key is to be masked")) is Doubt.OTHER, (
        "nothing is wrong with the table"
    )


def test_a_key_that_stays_in_flight_makes_its_table_unverified_until_it_has_settled(shop: Shop) -> None:
    def leaves(outcome: Any) -> None:
        shop.verify._left = [(T, [Leaving((1,), touched, outcome, shop.clock.now())])]
        shop.verify._left_at = shop.clock.now()
        shop.verify._settle()

    position = shop.world.leader.position()
    shop.journal.stream.touch({(T, (1,)): position}, followers=["one"], at=shop.clock.now())
    (touched,) = shop.journal.stream.touched("one", limit=9)
    assert shop.verify.moving(shop.clock.now()) == 0
    leaves(Moving("it changes all the time"))
    assert shop.verify.moving(shop.clock.now()) == 1
    shop.clock.at += 61.0
    leaves(Moving("it changes all the time"))
    shop.clock.at += 100.0
    assert shop.verify.moving(shop.clock.now()) == 1
    leaves(Equal())
    shop.clock.at += 21.0
    assert shop.verify.moving(shop.clock.now()) == 0
