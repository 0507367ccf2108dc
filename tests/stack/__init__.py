"""The native stack: Kafka, Kafka Connect with Debezium, a schema registry, PostgreSQL, MariaDB and MySQL, run as plain
programs.

`python -m stack up|down|status` keeps one running for a developer; the fixtures start the same parts for tests.
Nothing is installed and no container is needed: jars come from Maven into a cache outside the repository.
"""
