"""Table of contents of the fixtures. Each module says what it offers; none is imported by a test directly."""

pytest_plugins = [
    "fixtures.servers",  # pg_trio, postgres_server, versioned_server: PostgreSQL, started once per session
    "fixtures.databases",  # database, trio_database: a fresh database for one test
    "fixtures.network",  # proxy: a TCP proxy that stops, hangs, cuts and delays
    "fixtures.kafka",  # kafka_stack: broker and Kafka Connect with Debezium, started once per session
    "fixtures.running",  # served: a shop on three servers, and the configuration of a daemon that watches it
]
