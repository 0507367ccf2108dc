"""The leader's changes straight from PostgreSQL, without Kafka: logical replication with the plugin pgoutput.

`messages` are the values, `decode` reads them from bytes, `assemble` makes whole transactions, `slot` asks the
leader what a stream needs there, `stream` is the `ChangeStream`.
"""

from connectors.pgoutput.stream import PgoutputStream

__all__ = ["PgoutputStream"]
