"""Positions of MariaDB and MySQL: what covers what, and texts that are read back."""

from __future__ import annotations

import pytest

from verifier.gtid import Binlog, DomainGtids, GtidSet, Logged
from verifier.position import Lsn, Position, parse

A, B = "3e11fa47-71ca-11e1-9e33-c80aa9429562", "4f22fa47-71ca-11e1-9e33-c80aa9429563"


def test_mariadb_counts_in_every_domain() -> None:
    position = DomainGtids.parse("0-1-100,7-2-5")
    assert position.covers(DomainGtids.parse("0-3-100"))
    assert position.covers(DomainGtids.parse(""))
    assert not position.covers(DomainGtids.parse("0-1-101"))
    assert not position.covers(DomainGtids.parse("0-1-1,8-1-1"))
    assert not DomainGtids.parse("0-1-100").covers(position)
    assert position.union(DomainGtids.parse("0-1-7,8-1-1")) == DomainGtids.parse("0-1-100,7-2-5,8-1-1")


def test_mysql_counts_sets_with_holes() -> None:
    position = GtidSet.parse(f"{A}:1-5:7-9:11,\n{B}:1-3")
    assert position.covers(GtidSet.parse(f"{A}:2-4:8:11"))
    assert not position.covers(GtidSet.parse(f"{A}:5-7"))
    assert not position.covers(GtidSet.parse(f"{A}:6"))
    assert GtidSet.parse(f"{A}:1-9").covers(GtidSet.parse(f"{A.upper()}:1-5:7"))
    assert not GtidSet.parse(f"{A}:1-99").covers(position)
    assert position.union(GtidSet.parse(f"{A}:6:10")) == GtidSet.parse(f"{A}:1-11,{B}:1-3")


def test_owned_ids_are_read_without_their_owners() -> None:
    assert GtidSet.parse(f"{A}:23#31:24#46,{B}:7#2") == GtidSet.parse(f"{A}:23-24,{B}:7")
    # As MySQL 8.0 writes them where several origins own some at the same time.
    assert GtidSet.parse(f"{A}:23#31:24#46{B}:7#2{A}:25#9") == GtidSet.parse(f"{A}:23-25,{B}:7")


def test_tags_are_origins_of_their_own() -> None:
    tagged = GtidSet.parse(f"{A}:1-3:blue:1-2:red:7")
    assert tagged.covers(GtidSet.parse(f"{A}:blue:2"))
    assert not tagged.covers(GtidSet.parse(f"{A}:red:1"))
    assert parse(tagged.text()) == tagged


def test_binlog_files_are_ordered_by_number() -> None:
    assert Binlog("binlog.1000000", 4).covers(Binlog("binlog.999999", 777))
    assert Binlog("binlog.000002", 777).covers(Binlog("binlog.000002", 777))
    assert not Binlog("binlog.000002", 777).covers(Binlog("binlog.000002", 778))
    assert not Binlog("other.000002", 777).covers(Binlog("binlog.000001", 1))


def test_either_coordinate_of_a_moment_is_enough() -> None:
    moment = Logged(DomainGtids.parse("0-1-5"), Binlog("b.000001", 500))
    assert Logged(DomainGtids.parse("0-1-5"), Binlog("b.000001", 400)).covers(moment)
    assert Binlog("b.000001", 500).covers(moment)
    assert DomainGtids.parse("0-1-5").covers(moment)
    assert moment.covers(Binlog("b.000001", 500))
    assert moment.covers(DomainGtids.parse("0-1-4"))
    assert not moment.covers(DomainGtids.parse("0-1-6"))
    assert not Binlog("b.000001", 499).covers(moment)


def test_kinds_do_not_cover_each_other() -> None:
    kinds: list[Position] = [DomainGtids.parse("0-1-5"), GtidSet.parse(f"{A}:1"), Binlog("b.000001", 5), Lsn(5)]
    for one in kinds:
        assert [one.covers(other) for other in kinds] == [one is other for other in kinds]


@pytest.mark.parametrize(
    "position",
    [
        DomainGtids.parse("0-1-100,7-2-5"),
        DomainGtids(),
        GtidSet.parse(f"{A}:1-5:7"),
        GtidSet(),
        Binlog("binlog.000017", 4711),
        Logged(DomainGtids.parse("0-1-5,1-1-2"), Binlog("b.000001", 500)),
        Logged(GtidSet.parse(f"{A}:1-5:7"), Binlog("b.000001", 500)),
    ],
    ids=lambda position: position.text(),
)
def test_texts_are_read_back(position: Position) -> None:
    assert parse(position.text()) == position


@pytest.mark.parametrize("text", ["domains:0-1", "gtids:a:1-c", "binlog:here", "logged:x"])
def test_what_is_no_position_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse(text)


@pytest.mark.parametrize(
    ("ours", "theirs", "left"),
    [
        ("1-9", "3-4:7", "1-2:5-6:8-9"),
        ("1-9", "1-9", ""),
        ("1-9", "20", "1-9"),
        ("3-5:8", "1-3:5-7", "4:8"),
        ("5", "", "5"),
    ],
)
def test_a_set_without_another(ours: str, theirs: str, left: str) -> None:
    def set_of(text: str) -> GtidSet:
        return GtidSet.parse(f"{A}:{text}, {B}:7") if text else GtidSet.parse(f"{B}:7")

    assert set_of(ours).minus(set_of(theirs)) == (GtidSet.parse(f"{A}:{left}") if left else GtidSet())
