"""Offsets as the journal keeps them: `topic:partition` to the offset to read next."""

from __future__ import annotations

from collections.abc import Mapping

from connectors.debezium.pending import Partition


def written(offsets: Mapping[Partition, int]) -> dict[str, int]:
    return {f"{topic}:{partition}": offset for (topic, partition), offset in offsets.items()}


def read(offsets: Mapping[str, int]) -> dict[Partition, int]:
    """ValueError for a key that `written` did not make."""
    found = {}
    for name, offset in offsets.items():
        topic, colon, partition = name.rpartition(":")
        if not colon:
            raise ValueError(f"not a topic and partition: {name!r}")
        found[topic, int(partition)] = offset
    return found
