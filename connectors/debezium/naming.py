"""How Debezium names the topic of a table (`SchemaTopicNamingStrategy`, the default)."""

from __future__ import annotations

import re

from verifier.table import TableName

_ODD = re.compile(r"[^A-Za-z0-9._-]")
_LENGTH_MAX = 249
_ONE_UNIT = 0xFFFF
"""The last character that is one unit of UTF-16, which is what Java counts; those behind it are two."""


def topic_of(prefix: str, table: TableName | str) -> str:
    """The topic of `table` (`schema.table`): what Kafka does not allow in a topic's name is spelled `_`, and what is
    too long is cut off, so several tables may share one."""
    return f"{prefix}.{_ODD.sub(_spelled, str(table))}"[:_LENGTH_MAX]


def _spelled(odd: re.Match[str]) -> str:
    return "_" if ord(odd[0]) <= _ONE_UNIT else "__"
