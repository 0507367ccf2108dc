"""Which table of the follower is compared, on which columns, and what the report is told of it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from connectors.memory.clock import VirtualClock
from connectors.memory.follower import Follower
from connectors.memory.leader import Leader
from connectors.memory.replica import MemoryReplica
from trueup.audit.lineup import Lineup
from trueup.audit.mapping import checked, mapped
from trueup.audit.report import how_compared
from trueup.audit.request import Request
from verifier.compare import NO_KEY, SchemaFinding, Severity
from verifier.errors import Forbidden, Misconfigured, Permanent
from verifier.features import UNTOLD, Feature
from verifier.look import Role
from verifier.table import Column, Family, Kind, Scheme, Table, TableName
from verifier.tolerance import Tolerance

ID = Column("id", Family.INTEGER, "integer", nullable=False)
NOTE = Column("note", Family.TEXT, "text")
SUM = Column("sum", Family.DECIMAL, "numeric")
NAME = TableName("shop", "orders")


class World:
    """A leader and a follower in memory, with tables of any description."""

    def __init__(self, ours: Table, theirs: Table) -> None:
        self.source = Leader(VirtualClock().now)
        self.target = Follower(self.source, Role.SUBSCRIBER)
        self.source.create(ours)
        self.target.shelves.create(theirs)
        self.leader, self.follower = MemoryReplica("leader", self.source), MemoryReplica("f", self.target)

    def lineup(self, request: Request) -> Lineup:
        return Lineup(self.leader, {"f": self.follower}, request)


def table(*columns: Column, name: TableName = NAME, key: Sequence[str] = ("id",), kind: Kind = Kind.TABLE) -> Table:
    return Table(name, columns, tuple(key), kind=kind)


@pytest.mark.parametrize(
    ("name", "rules", "there"),
    [
        ("a.b", {}, None),
        ("a.b", {"a.b": "x.y"}, "x.y"),
        ("a.b", {"a.*": "x.*"}, "x.b"),
        ("a.b", {"a.*": "x.*", "a.b": "y.z"}, "y.z"),
        ("a.b", {"*.*": "*.new_*"}, "a.new_b"),
        ("ab.b", {"a.*": "x.*"}, None),
        ("a.log_2026", {"a.log_*": "x.*_log", "a.*": "x.*"}, "x.2026_log"),
        ("a.b+c", {"a.b+*": "x.*"}, "x.c"),
    ],
)
def test_names_and_patterns(name: str, rules: dict[str, str], there: str | None) -> None:
    assert mapped(TableName.parse(name), rules) == there


@pytest.mark.parametrize(("ours", "theirs"), [("a.*", "b.c"), ("a.b", "b.*"), ("a", "b.c"), ("a.b", "c")])
def test_rules_that_do_not_fit_are_refused(ours: str, theirs: str) -> None:
    with pytest.raises(Misconfigured, match="both sides need"):
        checked(ours, theirs)


def test_a_table_of_other_names_is_compared_under_the_leaders() -> None:
    there = TableName("archive", "orders")
    world = World(table(ID, NOTE), table(ID, Column("remark", Family.TEXT, "text"), name=there))
    request = Request(
        table_names={"shop.*": "archive.*"},
        column_names={"shop.orders": {"note": "remark"}},
        conditions={"*": "a", "shop.orders": "b"},
    )
    lineup = world.lineup(request)
    compared = lineup.side(lineup.table(NAME), "f").compared
    assert (compared.problem, compared.findings, compared.remarks) == (None, (), ())
    assert (compared.follower.name, compared.follower.stored) == (NAME, there)
    assert [(c.name, c.stored) for c in compared.follower.columns] == [("id", "id"), ("note", "remark")]
    assert compared.leader.where == compared.follower.where == "b"


def test_the_followers_own_column_of_a_mapped_name_is_another_one() -> None:
    stranger = Column("note", Family.INTEGER, "integer")
    world = World(table(ID, NOTE), table(ID, stranger, Column("remark", Family.TEXT, "text")))
    lineup = world.lineup(Request(column_names={"shop.orders": {"note": "remark"}}))
    compared = lineup.side(lineup.table(NAME), "f").compared
    assert compared.problem is None
    assert compared.follower.column("note").stored == "remark"
    assert compared.findings == (SchemaFinding("note (the follower's own)", "column", None, "integer"),)


def test_each_column_that_is_not_compared_says_why() -> None:
    world = World(table(ID, NOTE, SUM), table(ID, NOTE, SUM))
    lineup = world.lineup(Request(included={"shop.orders": ("note",)}))
    compared = lineup.side(lineup.table(NAME), "f").compared
    assert compared.excluded_why == {"sum": "not among the columns asked for"}
    lineup = world.lineup(Request(excluded={"shop.orders": ("note", "id", "nowhere")}))
    compared = lineup.side(lineup.table(NAME), "f").compared
    assert compared.excluded_why == {"note": "excluded by name"}
    assert compared.remarks == (
        "column 'id' was to be excluded, but is part of the key and is compared",
        "column 'nowhere' was to be excluded, but neither side has it",
    )


def test_a_tolerance_is_told_and_makes_trueup_hash_the_rows() -> None:
    lineup = World(table(ID, NOTE), table(ID, NOTE)).lineup(
        Request(tolerances={"shop.orders": Tolerance(ignore_trailing_spaces=True)})
    )
    side = lineup.side(lineup.table(NAME), "f")
    assert side.scheme is Scheme.CLIENT
    told = how_compared(side.compared, side.why)
    assert told["tolerances"] == {"note": "blanks at the end do not count"}
    assert told["scheme_why"] == "trueup itself keeps to the tolerances of note, no SQL does"
    assert lineup.request.told()["tolerances"] == {"shop.orders": {"ignore_trailing_spaces": True}}


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (Request(tolerances={"shop.orders.id": Tolerance(strict_scale=True)}), "part of the key"),
        (Request(included={"shop.orders": ("nte",)}), "no column 'nte', which --columns names"),
        (Request(keys={"shop.orders": ("nte",)}), "no column 'nte', which --key names"),
        (Request(column_names={"shop.orders": {"nte": "x"}}), "no column 'nte', which --map-column names"),
        (Request(column_names={"shop.orders": {"note": "x"}}), "shop.orders on f has no column 'x'"),
        (Request(table_names={"shop.orders": "a.b"}), "no table a.b"),
    ],
)
def test_names_that_are_not_there_are_the_tables_reason(request_: Request, said: str) -> None:
    lineup = World(table(ID, NOTE), table(ID, NOTE)).lineup(request_)
    with pytest.raises(Permanent, match=said):
        lineup.side(lineup.table(NAME), "f")


def test_a_key_that_was_named_and_what_a_name_stands_for_are_told() -> None:
    world = World(table(ID, NOTE, key=(), kind=Kind.VIEW), table(ID, NOTE, key=(), kind=Kind.PARENT))
    lineup = world.lineup(Request(keys={"shop.orders": ("id",)}))
    compared = lineup.side(lineup.table(NAME), "f").compared
    assert (compared.addressable, compared.keyless, compared.leader.key) == (True, False, ("id",))
    assert [text.partition(":")[0] for text in compared.remarks] == [
        "on the leader it is a view",
        "on the follower only its own rows are compared",
        "its key (id) was named by the user and is trusted to be unique",
    ]
    unnamed = world.lineup(Request())
    compared = unnamed.side(unnamed.table(NAME), "f").compared
    assert (compared.addressable, compared.keyless, compared.problem) == (False, True, NO_KEY)


def test_what_differs_beside_the_columns_is_among_the_findings() -> None:
    world = World(table(ID, NOTE), table(ID, NOTE))
    world.source.shelves.tables[NAME].features = (Feature("i", "index", "index (note)"),)
    lineup = world.lineup(Request())
    assert lineup.side(lineup.table(NAME), "f").compared.findings == (
        SchemaFinding("i", "index", "index (note)", None, Severity.NOTICE),
    )


class Silent(MemoryReplica):
    def features(self, name: TableName) -> Sequence[Feature]:
        raise Forbidden("permission denied for pg_class")


def test_a_server_that_does_not_tell_them_is_a_remark() -> None:
    world = World(table(ID), table(ID))
    lineup = Lineup(world.leader, {"f": Silent("f", world.target)}, Request())
    compared = lineup.side(lineup.table(NAME), "f").compared
    assert (compared.problem, compared.findings) == (None, ())
    assert compared.remarks == (
        "indexes, constraints, defaults and sequences were not compared: permission denied for pg_class",
    )


def test_what_an_engine_never_tells_is_a_remark() -> None:
    world = World(table(ID, NOTE), table(ID, NOTE))
    world.source.shelves.tables[NAME].features = (Feature("i", "index", "index (note)"),)
    world.target.shelves.tables[NAME].features = (Feature("", UNTOLD, "index"), Feature("", UNTOLD, "check"))
    lineup = world.lineup(Request())
    compared = lineup.side(lineup.table(NAME), "f").compared
    assert (compared.findings, compared.remarks) == (
        (), ("not compared, because memory does not tell them: index, check",),
    )  # fmt: skip


def test_a_table_asked_for_by_its_whole_name_is_told_of_when_it_is_not_found() -> None:
    """Leaving it out would make a match of what nobody read."""
    request = Request(("shop.orders", "shop.gone", "shop.gone", "shop.l*", "plain", "shop.no", "!shop.no"))
    known = TableName("shop", "orders")
    assert request.absent([known], "app") == [TableName("shop", "gone"), TableName("app", "plain")]
    assert request.absent([known, TableName("else", "plain")]) == [TableName("shop", "gone")]


def test_what_a_pattern_leaves_out_is_not_missed() -> None:
    """It would be compared after all: it is there, and was only not asked for."""
    request = Request(("shop.orders", "orders", "shop.old_orders", "audit.log", "log", "!shop.old_*", "!audit.*"))
    assert request.absent([TableName("shop", "orders")], "audit") == []
    assert request.absent([], "shop") == [TableName("shop", "orders"), TableName("shop", "log")]


def test_a_pattern_that_matches_nothing_is_told_of() -> None:
    request = Request(("shop.*", "sho.*", "order?", "ordr*", "shop.orders", "!shop.x*"))
    assert request.idle([TableName("shop", "orders")]) == ["sho.*", "ordr*"]
