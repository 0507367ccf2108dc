"""Settings of a leader: which of them keep the stream from beginning, and which only cost something."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.binlog.settings import Settings, granted, require, told_of
from verifier.errors import Misconfigured

MARIADB = {
    "log_bin": "ON", "binlog_format": "ROW", "binlog_row_image": "FULL", "binlog_row_metadata": "FULL",
    "gtid_strict_mode": "ON", "log_bin_compress": "OFF", "lower_case_table_names": "0",
    "binlog_checksum": "CRC32",
}  # fmt: skip
MYSQL = {
    **MARIADB, "gtid_mode": "ON", "binlog_transaction_compression": "OFF", "binlog_row_value_options": "",
    "binlog_order_commits": "ON",
}  # fmt: skip


@pytest.mark.parametrize("good", [Settings(True, MARIADB), Settings(False, MYSQL)])
def test_good_settings_have_no_fault(good: Settings) -> None:
    assert list(good.faults()) == []
    require(good, "the leader")


@pytest.mark.parametrize(
    ("mariadb", "name", "value", "fatal"),
    [
        (True, "log_bin", "OFF", True),
        (True, "binlog_format", "STATEMENT", False),
        (True, "binlog_format", "MIXED", False),
        (True, "binlog_row_metadata", "NO_LOG", True),
        (False, "binlog_row_metadata", "MINIMAL", True),
        (True, "binlog_row_image", "MINIMAL", False),
        (False, "binlog_row_image", "NOBLOB", False),
        (True, "binlog_checksum", "NONE", False),
        (True, "gtid_strict_mode", "OFF", False),
        (True, "log_bin_compress", "ON", False),
        (False, "gtid_mode", "ON_PERMISSIVE", True),
        (False, "binlog_transaction_compression", "ON", False),
        (False, "binlog_row_value_options", "PARTIAL_JSON", False),
        (False, "binlog_order_commits", "OFF", False),
    ],
)
def test_each_bad_setting_is_named_with_its_cure(
    mariadb: bool, name: str, value: str, fatal: bool, caplog: pytest.LogCaptureFixture
) -> None:
    found = Settings(mariadb, {**(MARIADB if mariadb else MYSQL), name: value})
    (fault,) = found.faults()
    assert name in fault.what
    assert name in fault.cure
    assert fault.fatal is fatal
    caplog.clear()
    if not fatal:
        require(found, "the leader")
        told_of(found, "the leader")
        assert [record.getMessage() for record in caplog.records] == [f"the leader: {fault.what}"]
    if fatal:
        with pytest.raises(Misconfigured, match=name):
            require(found, "the leader")


@pytest.mark.parametrize("name", ["log_replica_updates", "log_slave_updates"])
def test_a_replica_must_log_what_it_applies(name: str) -> None:
    require(Settings(False, {**MYSQL, name: "ON"}), "the replica", replica=True)
    with pytest.raises(Misconfigured, match="log_replica_updates"):
        require(Settings(False, {**MYSQL, name: "OFF"}), "the replica", replica=True)


class Grants:
    """A session that answers what the login was granted."""

    def __init__(self, *grants: str) -> None:
        self.grants = grants

    def all(self, _sql: str) -> list[tuple[str]]:
        return [(grant,) for grant in self.grants]


@pytest.mark.parametrize(
    ("grants", "missing"),
    [
        (["GRANT ALL PRIVILEGES ON *.* TO `x`@`%`"], 0),
        (["GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO `x`@`%`"], 0),
        (["GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO `x`@`%`"], 0),
        (["GRANT REPLICATION CLIENT ON *.* TO `x`@`%`"], 1),
        (["GRANT USAGE ON *.* TO `x`@`%`", "GRANT SELECT ON `d`.* TO `x`@`%`"], 2),
    ],
)
def test_missing_rights_are_named(grants: list[str], missing: int) -> None:
    session: Any = Grants(*grants)
    found = list(granted(session))
    assert len(found) == missing
    assert all(fault.cure.startswith("GRANT REPLICATION") for fault in found)
