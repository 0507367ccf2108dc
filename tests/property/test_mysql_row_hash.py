"""The row hash of MariaDB and MySQL, on real servers: rows that differ never share it, equal rows always do."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

import pytest
from fixtures.mysql_servers import PairDatabase

from connectors.mysql.replica import MysqlReplica, Options
from verifier.errors import Permanent
from verifier.keyrange import ALL
from verifier.look import Role
from verifier.table import Scheme, Table, TableName

pytestmark = pytest.mark.mysql

_TEXTS = [
    "null",
    "''",
    "'-'",
    "','",
    "'-,-'",
    "'0'",
    "'1'",
    "'1,0'",
    "' '",
    "'a'",
    "'A'",
    "'a '",
    "'é'",
    "'0,a'",
    "'%s'",
]
HOSTILE: dict[str, list[str]] = {
    "a int": ["null", "0", "1", "-1", "10"],
    "b int": ["null", "0", "1", "-1", "11"],
    "u varchar(20) collate utf8mb4_general_ci": _TEXTS,
    "v varchar(20) collate utf8mb4_bin": _TEXTS,
    "l varchar(20) character set latin1": _TEXTS,
    "w varchar(20) character set utf16": _TEXTS,
    "d double": ["null", "0", "0.1", "0.1 + 1e-17", "1e308", "5e-324", "-1", "0.30000000000000004", "0.3"],
    "f float": ["null", "0", "0.1", "16777216", "16777217e1"],
    "m decimal(30,10)": ["null", "0", "1.5", "-1.5", "0.0000000001", "12345678901234567890.1"],
    "y varbinary(20)": ["null", "x''", "x'2d'", "x'00'", "x'0000'", "x'61'", "x'2c'"],
    "o longblob": ["null", "x''", "x'2d'", "repeat(x'00', 70000)", "repeat(x'00', 70001)"],
    "t datetime(6)": ["null", "'2026-01-01'", "'2026-01-01 00:00:00.000001'"],
    "s timestamp(6) null": ["null", "'2026-01-01'", "'2026-01-01 00:00:00.000001'"],
    "j json": ["null", "'null'", "'\"\"'", "'[1, 2]'", "'[12]'", "'{\"a\": 1}'", "'\"-\"'"],
    "e enum('', 'a', '-')": ["null", "''", "'a'", "'-'"],
    "z set('a', 'b')": ["null", "''", "'a'", "'a,b'"],
    "i bit(8)": ["null", "0", "1", "45"],
    "g point": ["null", "point(0, 1)", "point(1, 0)"],
}
_EQUAL = {"0.1 + 1e-17": "0.1"}


def literal(row: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_EQUAL.get(value, value) for value in row)


def rows(count: int) -> list[tuple[str, ...]]:
    """Pairs that differ in one place or have two places exchanged, and a few that are equal."""
    chance = random.Random(20)
    found: list[tuple[str, ...]] = []
    choices = list(HOSTILE.values())
    while len(found) < count:
        one = [chance.choice(values) for values in choices]
        found.append(tuple(one))
        other = list(one)
        place = chance.randrange(len(one))
        other[place] = chance.choice(choices[place])
        found.append(tuple(other))
        one[2], one[3], one[0], one[1] = one[3], one[2], one[1], one[0]
        if one[0] in HOSTILE["a int"] and one[1] in HOSTILE["b int"]:
            found.append(tuple(one))
    return found


@pytest.mark.parametrize("scheme", [Scheme.NATIVE, Scheme.CANONICAL], ids=lambda scheme: scheme.value)
def test_different_rows_have_different_hashes(pair_database: PairDatabase, scheme: Scheme) -> None:
    made = rows(600)
    pair_database.sql(f"create table t ({', '.join(HOSTILE)}) default charset utf8mb4")
    for start in range(0, len(made), 200):
        values = ", ".join(f"({', '.join(row)})" for row in made[start : start + 200])
        pair_database.sql(f"insert into t values {values}")
    pair_database.pair.caught_up()
    expected = Counter(Counter(literal(row) for row in made).values())
    leader = MysqlReplica("leader", pair_database.leader_url, Options(role=Role.LEADER))
    follower = MysqlReplica("follower", pair_database.replica_url)
    with closing(leader), closing(follower):
        ours, theirs = (side.table(TableName(pair_database.name, "t")) for side in (leader, follower))
        if scheme is Scheme.CANONICAL:
            ours, theirs = (written_by_sql(leader, table) for table in (ours, theirs))
            assert dict(leader.multiset(ours).value) == dict(follower.multiset(theirs).value)
            return
        found = leader.multiset(ours).value
        assert Counter(found.values()) == expected
        assert dict(found) == dict(follower.multiset(theirs).value)


def written_by_sql(replica: MysqlReplica, table: Table) -> Table:
    kept = tuple(column for column in table.columns if replica.canonical(column))
    assert len(kept) >= len(table.columns) - 2
    return replace(table, columns=kept, scheme=Scheme.CANONICAL)


def test_a_row_that_has_no_hash_is_an_error_and_never_a_match(pair_database: PairDatabase) -> None:
    """What grows beyond max_allowed_packet is NULL in SQL, and a sum leaves that out."""
    pair, name = pair_database.pair, pair_database.name
    pair_database.sql(
        "create table big (id int primary key, a longtext, b longtext)",
        "insert into big values (1, 'x', 'y'), (2, repeat('a', 700000), repeat('b', 700000))",
    )
    pair.caught_up()
    ((before,),) = pair.leader.sql("select @@global.max_allowed_packet")
    pair.leader.sql("set global max_allowed_packet = 1048576")
    try:
        leader = MysqlReplica("leader", pair_database.leader_url, Options(role=Role.LEADER))
        with closing(leader):
            table = leader.table(TableName(name, "big"))
            questions: list[Callable[[], object]] = [
                lambda: leader.digest(table, ALL),
                lambda: leader.row_digests(table, ALL),
                lambda: leader.point_digests(table, [(1,), (2,)]),
                lambda: leader.multiset(replace(table, key=())),
            ]
            for ask in questions:
                with pytest.raises(Permanent, match="max_allowed_packet"):
                    ask()
            assert set(leader.point_digests(table, [(1,)]).value) == {(1,)}
    finally:
        pair.leader.sql(f"set global max_allowed_packet = {before}")
