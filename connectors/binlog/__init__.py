"""The change stream of a MariaDB or MySQL leader, read from its binlog as a replica reads it, without Kafka.

`reader` speaks the protocol (through python-mysql-replication) and yields plain events; `assemble` makes whole
transactions of them; `shape` and `values` say what a row event tells of a known table; `statements` reads what the
binlog holds as SQL; `settings` asks the leader whether its binlog can serve; `stream` joins them.
"""
