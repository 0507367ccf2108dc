"""The shop on MariaDB and MySQL, and the PostgreSQL shop that a JDBC sink copies into a database of MariaDB's."""

from __future__ import annotations

from pathlib import Path

from stack.mysql_servers import ADMIN, MysqlPair
from stack.shop import DATABASE

TABLES = ("customers", "orders")
CROSSING = "crossing"
_EXACT = {"mariadb": "utf8mb4_nopad_bin", "mysql": "utf8mb4_0900_bin"}

_SCHEMA = """
create table customers (
    id bigint primary key auto_increment, email varchar(200) not null unique, name varchar(200) not null,
    created_at datetime(6) not null
);
create table orders (
    id bigint primary key auto_increment, customer_id bigint not null, status varchar(20) not null default 'new',
    amount decimal(12, 2) not null, note text, updated_at datetime(6) not null
);
"""
# Not more than a recursion may count to by default.
_ROWS = """
insert into customers (email, name, created_at)
    with recursive n (g) as (select 1 union all select g + 1 from n where g < 500)
    select concat('c', g, '@example.org'), concat('Customer ', g), now(6) from n;
insert into orders (customer_id, amount, updated_at)
    with recursive n (g) as (select 1 union all select g + 1 from n where g < 500)
    select n.g, (n.g * m.g * 37 mod 10000) / 100, now(6) from n join n m on m.g <= 10;
"""


def open_shop(pair: MysqlPair) -> None:
    """Make the shop on the leader; the replica has it when this returns."""
    _create(pair, DATABASE, _SCHEMA + _ROWS)
    pair.caught_up()


def open_crossing(pair: MysqlPair) -> None:
    """Empty tables for what the sink brings from PostgreSQL, whose moments in time are `timestamp` here."""
    _create(pair, CROSSING, _SCHEMA.replace("datetime(6)", "timestamp(6)").replace(" auto_increment", ""))


def _create(pair: MysqlPair, database: str, statements: str) -> None:
    collation = _EXACT[pair.leader.engine]
    pair.leader.sql(f"create database {database} default collate {collation}")
    with pair.leader.session(database) as cursor:
        for statement in statements.split(";\n"):
            if statement.strip():
                cursor.execute(statement)


def pair_configuration(place: Path, engine: str, ports: dict[str, int]) -> str:
    """Text of a trueup.yaml for one pair: its group and connector are called after the engine."""
    url = f"{engine}://{ADMIN}@127.0.0.1:{{}}/{DATABASE}"
    return _group(
        place, engine, url.format(ports[f"{engine}-leader"]), "replica", url.format(ports[f"{engine}-replica"]),
        [f"{DATABASE}.{table}" for table in TABLES], ports, "{}",
    )  # fmt: skip


def crossing_configuration(place: Path, ports: dict[str, int]) -> str:
    """Text of a trueup.yaml for the PostgreSQL leader and the follower that the sink feeds. Its connector's messages
    carry schemas, as the sink needs them, and begin with the rows that there are."""
    leader = f"postgresql://postgres@127.0.0.1:{ports['leader']}/{DATABASE}"
    follower = f"mariadb://{ADMIN}@127.0.0.1:{ports['mariadb-leader']}/{CROSSING}"
    settings = "{snapshot.mode: initial, key.converter.schemas.enable: 'true', value.converter.schemas.enable: 'true'}"
    tables = [f"public.{table}" for table in TABLES]
    return _group(place, CROSSING, leader, "sink", follower, tables, ports, settings)


def _group(
    place: Path,
    name: str,
    leader: str,
    follower: str,
    url: str,
    tables: list[str],
    ports: dict[str, int],
    settings: str,
) -> str:
    return f"""\
# Written by `python -m stack up`; valid until `down`. For audits and for `trueup connector`.
instance: {name}
journal: {place / name}.db
groups:
  - name: {name}
    leader:
      url: {leader}
      password: file:{place / "password"}
    followers:
      - name: {follower}
        url: {url}
        password: file:{place / "password"}
    tables:
      include: [{", ".join(tables)}]
    stream:
      kind: kafka
      kafka:
        bootstrap_servers: 127.0.0.1:{ports["kafka"]}
        topic_prefix: {name}
        connect_url: http://127.0.0.1:{ports["connect"]}
        connector: {name}
        slot: dbz_{name}
        publication: dbz_{name}
        connector_settings: {settings}
"""
