"""Failed tasks are named with their cure, from traces as the connectors write them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from connectors.debezium import failures
from connectors.debezium.failures import diagnosed, innermost, kind

_CONNECT = "org.apache.kafka.connect.errors.ConnectException: "
_WRAPPED = (
    "org.apache.kafka.connect.errors.ConnectException: An exception occurred in the change event producer.\n\tat a\n"
)


@pytest.mark.parametrize(
    ("trace", "what", "cure"),
    [
        (
            f'{_WRAPPED}Caused by: org.postgresql.util.PSQLException: ERROR: replication slot "dbz" is active '
            f"for PID 17\n",
            "slot dbz is read by somebody else",
            "slot.name of its own",
        ),
        (
            f"{_CONNECT}The connector is trying to read change stream starting at PostgresOffsetContext [x], "
            f"but this is no "
            "longer available on the server. Reconfigure the connector to use a snapshot when needed",
            "the replication slot is gone",
            "trueup connector delete --forget",
        ),
        (
            'ERROR: can no longer get changes from replication slot "dbz"\n  Detail: This slot has been '
            "invalidated because it"
            " exceeded the maximum reserved size.",
            "the replication slot was invalidated",
            "pg_drop_replication_slot",
        ),
        (
            "ERROR: requested WAL segment 0000000100000000000000A1 has already been removed",
            "invalidated",
            "scanned again",
        ),
        (
            "FATAL: all replication slots are in use\n Hint: Free one",
            "no replication slot left",
            "max_replication_slots",
        ),
        ('ERROR: publication "dbz" does not exist', "the publication is missing", "pg_drop_replication_slot"),
        (
            "java.sql.SQLException: Postgres server wal_level property must be 'logical' but is: 'replica'",
            "wal_level is not logical",
            "alter system set wal_level = logical",
        ),
        (
            "ERROR: must be superuser or replication role to use replication slots",
            "no right to replicate",
            "replication",
        ),
        ("ERROR: must be owner of table orders", "lacks a right", "their owner"),
        ("ERROR: permission denied for table orders", "lacks a right", "grant select"),
        ('FATAL: password authentication failed for user "dbz"', "refuses the connector's login", "connect_password"),
        (
            "io.debezium.DebeziumException: The MySQL server is not configured to use a ROW binlog_format, "
            "which is required "
            "for this connector to work properly.",
            "binlog_format is not ROW",
            "set global binlog_format = ROW",
        ),
        (
            "io.debezium.DebeziumException: The MariaDB server is not configured to use a FULL "
            "binlog_row_image, which is "
            "required",
            "binlog_row_image is not FULL",
            "set global binlog_row_image = FULL",
        ),
        (
            "io.debezium.DebeziumException: Cannot read the binlog filename and position via 'SHOW MASTER "
            "STATUS'. Make sure",
            "log_bin is off",
            "log_bin = binlog",
        ),
        (
            "Cannot replicate because the source purged required binary logs. Replicate the missing "
            "transactions from elsewhere",
            "the log from which the connector would go on is gone",
            "delete --forget",
        ),
        (
            "A replica with the same server_uuid/server_id as this replica has connected to the source",
            "same database.server.id",
            "of its own",
        ),
        (
            "Access denied; you need (at least one of) the RELOAD privilege(s) for this operation",
            "lacks a right",
            "reload",
        ),
        (
            "Access denied for user 'dbz'@'127.0.0.1' (using password: YES)",
            "refuses the connector's login",
            "connect_user",
        ),
        (
            "io.debezium.text.ParsingException: DDL statement couldn't be parsed. Please open a Jira issue with "
            "the statement "
            "'create table t (id int primary key, x inet6)'\nno viable alternative at input 'x inet6'",
            "cannot parse",
            "schema.history.internal.skip.unparseable.ddl=true",
        ),
        (
            "io.debezium.DebeziumException: The db history topic is missing. You may attempt to recover it by "
            "reconfiguring "
            "the connector to recovery.",
            "history of the tables' shapes is missing",
            "snapshot.mode=recovery",
        ),
        (
            "Encountered change event for table shop.orders whose schema isn't known to this connector",
            "of which the connector knows no shape",
            "snapshot.mode=recovery",
        ),
        (
            "org.apache.kafka.common.errors.RecordTooLargeException: The message is 1048600 bytes",
            "larger than Kafka takes",
            "max.message.bytes",
        ),
        (
            f"{_CONNECT}Failed to find any class that implements Connector and which name matches x",
            "plugin",
            "plugin.path",
        ),
        ("java.net.ConnectException: Connection refused", "cannot reach its database", "trueup connector restart"),
    ],
)
def test_a_known_failure_has_a_name_and_a_cure(trace: str, what: str, cure: str) -> None:
    found = diagnosed(trace)
    assert found.level == "error"
    assert what in found.what
    assert cure in found.cure


def test_an_unknown_failure_is_told_by_its_innermost_cause() -> None:
    trace = (
        "org.Outer: it broke\n\tat a\nCaused by: org.Middle: because\n\tat b\nCaused by: org.Inner: of this\n\tat c\n"
    )
    assert diagnosed(trace).what == innermost(trace) == "org.Inner: of this"
    assert innermost("org.Only: that\n\tat a") == "org.Only: that"
    assert innermost(" ") == "failed without a trace"


def test_logs_learn_no_value_that_an_exception_quotes() -> None:
    assert (
        kind("org.Outer: it broke\nCaused by: org.DataException: invalid value 'Ada Lovelace'") == "org.DataException"
    )
    assert kind("FATAL: all replication slots are in use") == "the leader has no replication slot left"


def test_every_cure_names_commands_and_settings_that_exist() -> None:
    text = Path(failures.__file__).read_text()
    verbs = set(re.findall(r"trueup connector (\w+)", text))
    assert verbs == {"delete", "register", "restart"}
