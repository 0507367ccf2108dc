"""Plain files as the other side of a Protocol: events as JSON lines, for where there is no Kafka."""
