"""How Debezium names the topic of a table (`SchemaTopicNamingStrategy`, the default)."""

from __future__ import annotations

import re

from verifier.table import TableName

_ODD = re.compile(r"[^A-Za-z0-9._-]")


def topic_of(prefix: str, table: TableName | str) -> str:
    """The topic of `table` (`schema.table`): what Kafka does not allow in a topic's name is spelled `_`, so several
    tables may share one."""
    return f"{prefix}.{_ODD.sub('_', str(table))}"
