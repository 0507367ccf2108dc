"""What MariaDB and MySQL tables have beside their columns: told exactly, and compared with a replica that lost some."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fixtures.mysql_servers import PairDatabase

from connectors.mysql.features import counter_problem, portable_default
from connectors.mysql.replica import MysqlReplica, Options
from verifier.compare import Severity
from verifier.features import Feature, Lined, differences
from verifier.look import Role
from verifier.table import TableName

SERVERS = pytest.mark.mysql
TABLES = (
    "create table ref (a int, b int, primary key (a, b))",
    "create table t (id bigint primary key auto_increment, a int default 5, b int not null default -1, "
    "s varchar(20) default 'it''s', n decimal(6,2) default 1.50, at datetime default current_timestamp, "
    "e int generated always as (a + 1) stored, x varchar(40) default (concat('x', 'y')), w text, "
    "constraint refers foreign key (a, b) references ref (a, b) on delete restrict, check (a > 0), "
    "unique key whole (s, b), key part (w(7)), key falling (a, n), key of_it (n))",
    "create table other (id int primary key, v int, check (v < 9))",
)
REFERS = "a, b -> ref(a, b)"
COLUMNS = frozenset({"id", "a", "b", "s", "n", "at", "e", "x", "w"})


@pytest.fixture
def sides(pair_database: PairDatabase) -> Iterator[tuple[MysqlReplica, MysqlReplica]]:
    leader = MysqlReplica("leader", pair_database.leader_url, Options(role=Role.LEADER))
    follower = MysqlReplica("follower", pair_database.replica_url)
    yield leader, follower
    leader.close()
    follower.close()


@SERVERS
def test_indexes_constraints_and_defaults_are_told(
    pair_database: PairDatabase, sides: tuple[MysqlReplica, MysqlReplica]
) -> None:
    pair_database.sql(*TABLES)
    own = {
        "mariadb": {
            Feature("CONSTRAINT_1", "check", "check `a` > 0"),
            Feature("refers", "foreign key", f"{REFERS} on update restrict on delete restrict", REFERS),
            Feature("s", "default", "'it''s'", "it's"),
            Feature("at", "default", "current_timestamp()", "now"),
            Feature("e", "default", "generated as `a` + 1"),
            Feature("x", "default", "concat('x','y')"),
        },
        "mysql": {
            Feature("t_chk_1", "check", "check (`a` > 0)"),
            Feature("refers", "foreign key", f"{REFERS} on update no action on delete restrict", REFERS),
            Feature("s", "default", "it's", "it's"),
            Feature("at", "default", "CURRENT_TIMESTAMP", "now"),
            Feature("e", "default", "generated as (`a` + 1)"),
            Feature("x", "default", r"concat(_utf8mb4\'x\',_utf8mb4\'y\')"),
        },
    }
    assert set(sides[0].features(TableName(pair_database.name, "t"))) == {
        Feature("falling", "index", "index using btree (a, n)", "a, n"),
        Feature("part", "index", "index using btree (w(7))"),
        Feature("of_it", "index", "index using btree (n)", "n"),
        Feature("PRIMARY", "unique", "primary key using btree (id)", "id"),
        Feature("refers", "index", "index using btree (a, b)", "a, b"),
        Feature("whole", "unique", "unique using btree (s, b)", "s, b"),
        Feature("id", "default", "auto_increment", "sequence"),
        Feature("a", "default", "5", "5"),
        Feature("b", "default", "-1", "-1"),
        Feature("n", "default", "1.50", "1.50"),
        *own[pair_database.pair.leader.engine],
    }
    assert sides[0].features(TableName(pair_database.name, "nowhere")) == ()


@SERVERS
def test_what_a_replica_lacks_is_found_and_nothing_else(
    pair_database: PairDatabase, sides: tuple[MysqlReplica, MysqlReplica]
) -> None:
    pair_database.sql(*TABLES)
    pair_database.pair.caught_up()
    leader, follower = sides
    name, lined = TableName(pair_database.name, "t"), Lined(alike=True, columns=COLUMNS)
    assert list(differences(leader.features(name), follower.features(name), lined)) == []
    pair_database.plant(
        "alter table t drop foreign key refers, drop key whole, drop key falling, add key rising (a)",
        "alter table t alter b set default 7, add check (a < 100)",
    )
    found = {
        (one.what, one.object, one.severity): (one.leader, one.follower)
        for one in differences(leader.features(name), follower.features(name), lined)
    }
    constraint = next(one.text for one in leader.features(name) if one.what == "foreign key")
    ((added, check),) = [(key, value) for key, value in found.items() if key[0] == "check"]
    assert added[2] is Severity.WARNING
    assert check[0] is None
    assert "`a` < 100" in str(check[1])
    del found[added]
    assert found == {
        ("index", "falling", Severity.NOTICE): ("index using btree (a, n)", None),
        ("index", "rising", Severity.NOTICE): (None, "index using btree (a)"),
        ("unique", "whole", Severity.WARNING): ("unique using btree (s, b)", None),
        ("foreign key", "refers", Severity.WARNING): (constraint, None),
        ("default", "b", Severity.NOTICE): ("-1", "7"),
    }


@SERVERS
def test_a_counter_that_is_used_up_is_a_problem(
    pair_database: PairDatabase, sides: tuple[MysqlReplica, MysqlReplica]
) -> None:
    pair_database.sql(
        "create table c (id tinyint primary key auto_increment, v int) comment 'AUTO_INCREMENT=9'",
        "insert into c values (1, 1), (5, 1)",
        "create table fresh (id int unsigned primary key auto_increment)",
    )

    def problems(side: MysqlReplica, name: str) -> list[str | None]:
        return [one.problem for one in side.features(TableName(pair_database.name, name)) if one.object == "id"]

    assert problems(sides[0], "c") == problems(sides[0], "fresh") == [None]
    pair_database.sql("insert into c values (126, 1)")
    assert problems(sides[0], "c") == [None]
    pair_database.sql("insert into c values (127, 1)")
    pair_database.pair.caught_up()
    said = {
        "mariadb": "it is used up: the next value would be 128",
        "mysql": "its next value 127 is not beyond 127, which the column holds already",
    }[pair_database.pair.leader.engine]
    assert problems(sides[0], "c") == problems(sides[1], "c") == [said]


@pytest.mark.parametrize(
    ("following", "declared", "held", "said"),
    [
        (1, "int(11)", None, None),
        (128, "tinyint(4)", 127, "it is used up: the next value would be 128"),
        (128, "tinyint(3) unsigned", 127, None),
        (127, "tinyint", 127, "its next value 127 is not beyond 127, which the column holds already"),
        (4, "bigint unsigned", 4, "its next value 4 is not beyond 4, which the column holds already"),
        (2**63, "bigint", 2**63 - 1, f"it is used up: the next value would be {2**63}"),
        (2**63, "bigint(20) unsigned", 2**63 - 1, None),
        (9, "double", 8, None),
        (1, "int", -5, None),
    ],
)
def test_counters(following: int, declared: str, held: int | None, said: str | None) -> None:
    assert counter_problem(following, declared, held) == said


@pytest.mark.parametrize(
    ("default", "extra", "said"),
    [
        ("current_timestamp()", "", "now"),
        ("CURRENT_TIMESTAMP(6)", "DEFAULT_GENERATED", "now"),
        ("'it''s'", "", "it's"),
        ("now", "", "now"),
        ("1.50", "", "1.50"),
        ("uuid()", "", None),
        ("`a` + 1", "DEFAULT_GENERATED", None),
    ],
)
def test_defaults_as_any_engine_says_them(default: str, extra: str, said: str | None) -> None:
    assert portable_default(default, extra) == said
