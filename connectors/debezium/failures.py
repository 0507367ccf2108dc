"""Why a connector's task failed, by what its trace says, and what to do about it.

The words are those of Debezium's connectors, of the databases and of Kafka Connect. A trace that none of them is in is
told to whoever asks by its innermost cause, which may quote what is in a row; for logs and health there is `kind`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from connectors.remark import Remark

_AGAIN = ", then trueup connector restart"
_SET, _PUT = "under stream.kafka.connector_settings: ", "; then trueup connector register"
_ANEW = (
    "trueup connector delete --forget, then trueup connector register; what was committed meanwhile is not told by the "
    "stream, and every table is scanned again"
)


@dataclass(frozen=True, slots=True)
class _Known:
    """A failure: what its trace says, in words of our own what it means, and the cure."""

    says: re.Pattern[str]
    what: str
    cure: str


def _known(says: str, what: str, cure: str) -> _Known:
    return _Known(re.compile(says, re.IGNORECASE | re.DOTALL), what, cure)


# The first that fits is told: special ones before general ones.
_FAILURES = (
    # PostgreSQL
    _known(r"replication slot \"?(?P<name>\w+)\"? is active for PID", "slot {name} is read by somebody else",
           "stop that reader (pg_replication_slots.active_pid), or give the connector a slot.name of its own"),
    _known(r"replication slot \"?(?P<name>\w+)\"? does not exist", "replication slot {name} is gone", _ANEW),
    _known(r"PostgresOffsetContext.{0,2000}no longer available on the server",
           "the replication slot is gone, or was made anew behind the connector's back", _ANEW),
    _known(r"can no longer (?:get|access) (?:changes from )?replication slot \"?(?P<name>\w+)|slot has been invalidated"
           r"|requested WAL segment \S+ has already been removed",
           "the replication slot was invalidated: its log is gone (max_slot_wal_keep_size was passed)",
           f"select pg_drop_replication_slot(...) on the leader, {_ANEW}"),
    _known(r"all replication slots are in use", "the leader has no replication slot left",
           f"drop one that nobody reads, or raise max_replication_slots{_AGAIN}"),
    _known(r"number of requested standby connections exceeds max_wal_senders|no more wal ?senders",
           "the leader has no walsender left", f"raise max_wal_senders and restart the leader{_AGAIN}"),
    _known(r"publication \"?(?P<name>[^\s\"]+)\"? does not exist|Publication autocreation is disabled",
           "the publication is missing",
           f"create it before its slot: select pg_drop_replication_slot(...) on the leader, {_ANEW}"),
    _known(r"wal_level property must be|logical decoding requires.{0,12}wal_level", "wal_level is not logical",
           f"alter system set wal_level = logical, restart the leader{_AGAIN}"),
    _known(r"(?:permission denied to use|must be superuser or replication role to use) replication"
           r"|Only roles with the REPLICATION attribute|permission denied to start WAL sender",
           "the connector's login has no right to replicate", f"alter role ... replication{_AGAIN}"),
    _known(r"must be (?:owner of|superuser to create)|permission denied for (?P<kind>database|table|schema|relation)",
           "the connector's login lacks a right on the leader",
           f"grant select on the tables to it, and make the publication as their owner{_AGAIN}"),
    _known(r"no pg_hba\.conf entry", "pg_hba.conf does not let the connector in",
           f"add a line for its host and login{_AGAIN}"),
    # MariaDB and MySQL
    _known(r"not configured to use a ROW binlog_format|using a (?:full )?row-level binlog", "binlog_format is not ROW",
           f"set global binlog_format = ROW, and in the server's configuration{_AGAIN}"),
    _known(r"not configured to use a FULL binlog_row_image", "binlog_row_image is not FULL",
           f"set global binlog_row_image = FULL, and in the server's configuration{_AGAIN}"),
    _known(r"Cannot read the binlog filename and position|binary logging not possible|not using binary logging"
           r"|binary log is not open|Binary logging.{0,20}not enabled",
           "the leader writes no binlog (log_bin is off)",
           f"log_bin = binlog in the server's configuration, restart it{_AGAIN}"),
    _known(r"purged (?:required )?binary logs|Could not find first log file name|no longer available on the server"
           r"|has purged|GTID position .{0,80}(?:is not|not present)",
           "the log from which the connector would go on is gone: it was purged while the connector was away",
           f"keep the log for longer; {_ANEW}"),
    _known(r"same server_?(?:uuid|id)|server_id.{0,30}already|duplicate server.?id",
           "another reader of the leader's binlog has the same database.server.id",
           f"give the connector a database.server.id of its own{_AGAIN}"),
    _known(r"Access denied.{0,20}need.{0,60}privilege\(?s?\)?|command denied to user",
           "the connector's login lacks a right",
           "grant select, reload, show databases, replication slave, replication client (on MariaDB: binlog monitor)"
           f" on *.* to it{_AGAIN}"),
    _known(r"couldn't be parsed|no viable alternative at input", "a statement in the log that Debezium cannot parse",
           f"{_SET}schema.history.internal.skip.unparseable.ddl=true{_PUT} (on MariaDB a column of type inet4 or"
           " inet6 anywhere on the server is enough)"),
    _known(r"(?:db|schema) history topic.{0,40}(?:missing|not found)|history topic .{0,60}(?:retention|cleanup)",
           "the topic that holds the history of the tables' shapes is missing or not kept for ever",
           f"{_SET}snapshot.mode=recovery{_PUT}; then take it out again"),
    _known(r"schema isn't known to this connector", "a table changed of which the connector knows no shape",
           f"{_SET}snapshot.mode=recovery{_PUT}; then take it out again"),
    # both
    _known(r"password authentication failed|Access denied for user|role \"[^\"]*\" does not exist",
           "the leader refuses the connector's login",
           "correct stream.kafka.connect_user and connect_password, then trueup connector register"),
    _known(r"database \"[^\"]+\" does not exist|Unknown database '[^']+'", "there is no such database",
           "correct the leader's url, then trueup connector register"),
    # conversion and Kafka
    _known(r"RecordTooLargeException|larger than .{0,40}max\.request\.size", "an event is larger than Kafka takes",
           "producer.override.max.request.size for the connector and max.message.bytes of its topic" + _AGAIN),
    _known(r"TopicAuthorizationException|GroupAuthorizationException|SaslAuthenticationException",
           "Kafka refuses what Kafka Connect does", f"give its user the rights on the topics{_AGAIN}"),
    _known(r"(?:RestClientException|registry).{0,200}(?:refused|UnknownHost|timed? ?out)",
           "the schema registry is away",
           f"start it, check its url in the converter's settings{_AGAIN}"),
    _known(r"Topic .{0,120} not present in metadata", "a topic is missing and is not created",
           f"topic.creation.enable=true for the worker, or create it{_AGAIN}"),
    _known(r"ClassNotFoundException|Failed to find any class", "the worker lacks the connector's or converter's plugin",
           "install it below plugin.path of every worker and restart them"),
    # JDBC sink
    _known(r"Cannot ALTER table|Could not find table|missing (?:column|field)|schema evolution is",
           "the follower's table does not have the shape of the events", f"alter it as the leader's{_AGAIN}"),
    _known(r"Connection refused|UnknownHostException|Communications link failure|connection attempt failed"
           r"|No route to host|connect timed out",
           "the connector cannot reach its database", f"see that its workers reach it{_AGAIN}"),
)  # fmt: skip


def diagnosed(trace: str) -> Remark:
    """What a trace means. Of a failure that is not known here: its innermost cause, and to look at the log."""
    return _found(trace) or Remark(
        "error", innermost(trace), "see the worker's log; trueup connector restart tries again"
    )


def kind(trace: str) -> str:
    """The same without anything that an exception may quote: of an unknown failure the exception's name alone."""
    found = _found(trace)
    return found.what if found is not None else innermost(trace).partition(":")[0]


def _found(trace: str) -> Remark | None:
    for known in _FAILURES:
        if found := known.says.search(trace):
            named = {name: value or "" for name, value in found.groupdict(default="").items()}
            return Remark("error", known.what.format_map(named), known.cure)
    return None


def innermost(trace: str) -> str:
    """The last `Caused by` of a Java trace, or its first line."""
    lines = [line.strip() for line in trace.strip().splitlines() if line.strip()]
    causes = [line.removeprefix("Caused by: ") for line in lines if line.startswith("Caused by: ")]
    return (causes or lines or ["failed without a trace"])[-1 if causes else 0][:300]
