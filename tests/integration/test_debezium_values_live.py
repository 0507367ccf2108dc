"""Rows of every column type through the connectors of MariaDB and MySQL: what is told is what the server prints
and hashes.

MariaDB with the settings that `trueup connector` gives, in JSON; MySQL with the connector's own defaults, in Avro with
a schema registry.
"""

from __future__ import annotations

from contextlib import closing

import pytest
from fixtures.databases import fresh_name
from fixtures.debezium_values import Rows, present, told_by, untold
from stack.debezium import avro
from stack.mysql_servers import ADMIN, MysqlPair
from stack.native import KafkaStack
from stack.registry import Registry

from connectors.debezium.avro import AvroReader
from connectors.debezium.avro_registry import SchemaRegistry
from connectors.debezium.connect import Connect
from connectors.debezium.decoder import Decoder, Read
from connectors.debezium.modes import Modes
from connectors.debezium.source_binlog import BinlogSource
from connectors.debezium.template import Source
from connectors.debezium.template_binlog import binlog_connector, server_id
from connectors.kafka.confluent import ConfluentConsumer
from connectors.kafka.stream import KafkaStream
from connectors.mysql.replica import MysqlReplica, Options
from verifier.look import Role
from verifier.table import Key, TableName

pytestmark = [pytest.mark.kafka, pytest.mark.mysql]

COLUMNS = """
b bool, b1 bit(1), b12 bit(12), ti tinyint, tiu tinyint unsigned, si smallint, siu smallint unsigned, mi mediumint,
miu mediumint unsigned, i int, iu int unsigned, iz int(8) unsigned zerofill, bi bigint, biu bigint unsigned, f float,
d double, de decimal(10,2), de38 decimal(38,10), de0 decimal(20,0), ch char(5), vc varchar(20),
vcl varchar(20) character set latin1, tx text, bn binary(4), vb varbinary(10), bl blob, en enum('a','b','c,d'),
st set('x','y','z'), yr year, da date, t0 time, t3 time(3), t6 time(6), dt datetime, dt3 datetime(3), dt6 datetime(6),
ts timestamp null, ts3 timestamp(3) null, ts6 timestamp(6) null, pt point, ge geometry, js json
"""
ROWS = (
    """
(1, '2024-02-29', 1, b'1', b'101100000001', -5, 250, -300, 65000, -70000, 16000000, -5, 4000000000, 42,
-9007199254740993, 18446744073709551615, 1.1, 0.1, 12.30, 12345678901234567890.1234567890, 12345678901234567890,
'ab', 'häß', 'hé', '☃😀', x'ff00', x'00ff10', x'00ff', 'c,d', 'x,z', 2024, '2024-02-29', '13:14:15', '13:14:15.123',
'13:14:15.123456', '2024-02-29 13:14:15', '2024-02-29 13:14:15.123', '2024-02-29 13:14:15.123456',
'2024-02-29 13:14:15', '2024-02-29 13:14:15.120', '2024-02-29 13:14:15.123456', ST_GeomFromText('POINT(1.5 2.5)'),
ST_GeomFromText('LINESTRING(0 0,1 1)', 4326), '{"k": [1, "a"], "n": null}')
""",
    """
(18446744073709551615, '9999-12-31', 0, b'0', b'0', -128, 0, -32768, 0, -8388608, 0, -2147483648, 0, 0,
-9223372036854775808, 9223372036854775808, 3.4e38, -1.7976931348623157e308, -0.01, -0.0000000001, 0, '', '', '', '',
x'', x'', x'', 'a', '', 1901, '1000-01-01', '-838:59:59', '-00:00:00.001', '838:59:59', '1000-01-01 00:00:00',
'9999-12-31 23:59:59.999', '9999-12-31 23:59:59.999999', '1970-01-01 00:00:01', '2038-01-19 03:14:07.999',
'2001-09-09 01:46:40.000001', null, null, 'null')
""",
    "(7, '2000-01-01'" + ", null" * 42 + ")",
)


def database(pair: MysqlPair) -> tuple[str, TableName]:
    name = fresh_name()
    pair.leader.sql(f"create database `{name}` character set utf8mb4")
    key = "id bigint unsigned, kd date"
    pair.leader.sql(f"create table t ({key}, {COLUMNS}, primary key (kd, id))", database=name)
    pair.leader.sql("create table beat (id int primary key)", database=name)
    return name, TableName(name, "t")


def told(pair: MysqlPair, stack: KafkaStack, name: str, prefix: str, read: Read | None) -> Rows:
    """The rows as inserts of a running connector tell them."""
    leader = MysqlReplica("leader", pair.leader.url(name), Options(role=Role.LEADER))
    table = leader.table(TableName(name, "t"))
    modes = Modes.of(Connect(stack.connect_url).config(prefix))
    source = BinlogSource(pair.leader.engine == "mariadb", leader.position, lambda: (leader.position(),) * 2)
    decoder = Decoder(prefix, modes, {table.name: table}.get, source, read)
    stream = KafkaStream(ConfluentConsumer(stack.bootstrap, "values"), decoder, prefix)
    present(stream, lambda beats: pair.leader.sql(f"insert into beat values ({beats})", database=name))
    with pair.leader.session(name) as cursor:
        cursor.execute("set time_zone = '+00:00'")
        for row in ROWS:
            cursor.execute(f"insert into t values {row}")
    found = told_by(stream, len(ROWS))
    leader.close()
    return found


def check(pair: MysqlPair, name: str, rows: Rows) -> dict[Key, set[str]]:
    """Which columns were not told, by key; all others as the server prints and hashes them."""
    leader = MysqlReplica("leader", pair.leader.url(name), Options(role=Role.LEADER))
    found = untold(leader, leader.table(TableName(name, "t")), rows)
    leader.close()
    return found


MOMENTS = {"da", "dt", "dt3", "dt6", "ts", "ts3", "ts6"}


def test_mariadb_in_the_recommended_modes(mariadb_pair: MysqlPair, kafka_stack: KafkaStack) -> None:
    name, table = database(mariadb_pair)
    leader, prefix = mariadb_pair.leader, kafka_stack.prefix()
    source = Source("127.0.0.1", leader.port, ADMIN, leader.password, name)
    config = binlog_connector(
        "mariadb", prefix, source, [table], number=server_id(prefix), bootstrap=kafka_stack.bootstrap, heartbeat=None
    )
    kafka_stack.capture(leader, name, [], prefix=prefix, more=config)
    rows = told(mariadb_pair, kafka_stack, name, prefix, None)
    big = 18446744073709551615
    assert list(rows) == [("2024-02-29", 1), ("9999-12-31", big), ("2000-01-01", 7)]
    assert check(mariadb_pair, name, rows) == {
        ("2024-02-29", 1): set(), ("9999-12-31", big): set(), ("2000-01-01", 7): MOMENTS,
    }  # fmt: skip
    leader.sql(f"drop database `{name}`")


def test_mysql_in_its_defaults_and_avro(
    mysql_pair: MysqlPair, kafka_stack: KafkaStack, schema_registry: Registry
) -> None:
    name, table = database(mysql_pair)
    more = {**avro(schema_registry.url), "snapshot.mode": "no_data", "enable.time.adjuster": "false"}
    prefix = kafka_stack.capture(mysql_pair.leader, name, [str(table)], more=more)
    with closing(SchemaRegistry(schema_registry.confluent_url)) as registry:
        rows = told(mysql_pair, kafka_stack, name, prefix, AvroReader(registry).read)
    assert check(mysql_pair, name, rows) == {
        ("2024-02-29", 1): set(), ("9999-12-31", 18446744073709551615): set(), ("2000-01-01", 7): MOMENTS,
    }  # fmt: skip
    mysql_pair.leader.sql(f"drop database `{name}`")
