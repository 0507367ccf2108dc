"""MariaDB's sequences on a real pair: read without taking a value, found where they are behind, named by a cutover; and
what a login may not read is said in the line of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fixtures.mysql_servers import PairDatabase, fresh_database
from stack.mysql_servers import MysqlPair

from connectors.mysql.cutover import MysqlSurroundings
from connectors.mysql.replica import MysqlReplica, Options
from verifier.checklist import Result
from verifier.compare import SchemaFinding, Severity
from verifier.errors import Permanent
from verifier.features import Feature, Lined, differences
from verifier.look import Role
from verifier.sequences import SequenceState, sequences
from verifier.table import TableName

pytestmark = pytest.mark.mysql

UP = f"by 1 from 1 to {2**63 - 2}"
SCHEMA = (
    "create sequence numbers nocache",
    "create sequence `odd ``one%` increment by -5 cache 20",
    "create sequence spare start with 7 nocache",
    "create table t (id int primary key default nextval(numbers), n int default nextval(`odd ``one%`), "
    "v varchar(40) default 'nextval(`a`.`b`)', key (n))",
    "insert into t (v) values ('a'), ('b'), ('c')",
)


@pytest.fixture
def shop(mariadb_pair: MysqlPair) -> Iterator[PairDatabase]:
    made = PairDatabase(mariadb_pair, fresh_database())
    made.sql(*SCHEMA)
    mariadb_pair.caught_up()
    yield made
    made.drop()


@pytest.fixture
def sides(shop: PairDatabase) -> Iterator[tuple[MysqlReplica, MysqlReplica]]:
    leader = MysqlReplica("leader", shop.leader_url, Options(role=Role.LEADER))
    follower = MysqlReplica("follower", shop.replica_url)
    yield leader, follower
    leader.close()
    follower.close()


def test_they_are_no_tables_and_what_they_give_is_told_without_taking_a_value(
    shop: PairDatabase, sides: tuple[MysqlReplica, MysqlReplica]
) -> None:
    table = TableName(shop.name, "t")
    numbers, odd, spare = (TableName(shop.name, name) for name in ("numbers", "odd `one%", "spare"))
    assert sides[0].tables([f"{shop.name}.*", str(numbers)]) == [table]
    with pytest.raises(Permanent, match="there is no table"):
        sides[0].table(numbers)
    for _ in range(2):
        for side in sides:
            found = {(one.what, one.object): one for one in side.features(table) if one.what in ("default", "sequence")}
            assert found == {
                ("default", "id"): Feature("id", "default", "next value of a sequence", "sequence"),
                ("default", "n"): Feature("n", "default", "next value of a sequence", "sequence"),
                ("default", "v"): Feature("v", "default", "'nextval(`a`.`b`)'", "nextval(`a`.`b`)"),
                ("sequence", "id"): Feature("id", "sequence", UP),
                ("sequence", "n"): Feature("n", "sequence", f"by -5 from {1 - 2**63} to -1"),
            }
            assert set(MysqlSurroundings(side).surroundings([table]).sequences) == {
                SequenceState(numbers, (table, "id"), 4, 1, 3, f"select setval(`{shop.name}`.`numbers`, {{last}})"),
                # 20 are reserved at a time, and three of them were given.
                SequenceState(odd, (table, "n"), -101, -5, -11, f"select setval(`{shop.name}`.`odd ``one%`, {{last}})"),
                SequenceState(spare, None, 7, 1, None, f"select setval(`{shop.name}`.`spare`, {{last}})"),
            }


def test_one_that_is_behind_is_found_and_named_by_a_cutover(
    shop: PairDatabase, sides: tuple[MysqlReplica, MysqlReplica]
) -> None:
    table, lined = TableName(shop.name, "t"), Lined(alike=True, columns=frozenset({"id", "n", "v"}))
    shop.sql("insert into t (id, n) values (50, 0)")
    shop.pair.caught_up()
    shop.plant("alter sequence numbers restart 2 maxvalue 90", "drop sequence spare")
    leader, follower = sides
    ours = "its next value, 4, is not beyond 50, which the column holds already"
    theirs = "its next value, 2, is not beyond 50, which the column holds already"
    assert list(differences(leader.features(table), follower.features(table), lined)) == [
        SchemaFinding("id", "sequence", UP, "by 1 from 1 to 90", Severity.NOTICE),
        SchemaFinding("id", "sequence", UP, None, Severity.WARNING, f"on the leader: {ours}"),
        SchemaFinding("id", "sequence", None, "by 1 from 1 to 90", Severity.NOTICE, f"on the follower: {theirs}"),
    ]
    told = [MysqlSurroundings(side).surroundings([table]).sequences for side in sides]
    check = sequences(*told, "eu", {})
    assert check.result is Result.FAIL
    assert check.detail == (
        f"{shop.name}.numbers gives 2 next, and {table}.id holds 50 already; {shop.name}.spare is missing"
    )
    cure, _, missing = check.todo.partition("; ")
    assert (cure, missing) == (
        f"select setval(`{shop.name}`.`numbers`, 50)", f"create {shop.name}.spare on the follower"
    )  # fmt: skip
    shop.plant(cure, "create sequence spare start with 7 nocache")
    told = [MysqlSurroundings(side).surroundings([table]).sequences for side in sides]
    assert sequences(*told, "eu", {}).result is Result.PASS

    shop.plant("drop sequence numbers")
    (absent,) = (one for one in follower.features(table) if (one.what, one.object) == ("sequence", "id"))
    assert absent.problem == f"there is no sequence {shop.name}.numbers, so the default fails"


def test_a_counter_that_may_not_be_read_is_unknown_and_the_rest_is_told(pair_database: PairDatabase) -> None:
    a, b = (TableName(pair_database.name, name) for name in ("a", "b"))
    server, user = pair_database.pair.leader, f"g_{pair_database.name}"
    pair_database.sql(
        "create table a (id int primary key auto_increment, v int, key of_v (v))",
        "create table b (id int primary key auto_increment)",
        "insert into b values (5)",
        f"create user {user}@'%' identified by 'word'",
        f"grant insert on a to {user}@'%'",
        f"grant select on b to {user}@'%'",
    )
    login = MysqlReplica(
        "leader", server.url(pair_database.name, user=user, password="word"), Options(role=Role.LEADER)
    )
    told = MysqlSurroundings(login).surroundings([a, b])
    states = {one.name: one for one in told.sequences}
    assert (states[b].next, states[b].reach, states[b].problem) == (6, 5, "")
    assert states[a].problem.startswith(f"reading the largest id of {a} on {server.engine}://127.0.0.1:{server.port}/")
    assert "denied" in states[a].problem
    assert {fact.table for fact in told.facts if fact.topic == "indexes"} == {a, b}
    check = sequences(told.sequences, told.sequences, "eu", {})
    assert (check.result, check.detail) == (Result.UNKNOWN, f"{a}: {states[a].problem}")
    login.close()
    server.sql(f"drop user {user}@'%'")
