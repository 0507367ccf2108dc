"""Offsets as the journal keeps them: `topic:partition` to the offset to read next, `topic#made` to the broker's own
number of the topic, which is another once the topic was deleted and made anew."""

from __future__ import annotations

from collections.abc import Mapping

from connectors.debezium.pending import Partition

_MADE = "#made"


def written(offsets: Mapping[Partition, int], made: Mapping[str, int] | None = None) -> dict[str, int]:
    """`made`: the broker's own number of each topic."""
    found = {f"{topic}:{partition}": offset for (topic, partition), offset in offsets.items()}
    return found | {f"{topic}{_MADE}": number for topic, number in (made or {}).items()} if found else {}


def made(offsets: Mapping[str, int]) -> dict[str, int]:
    """The numbers of the topics that these offsets are of."""
    return {name.removesuffix(_MADE): number for name, number in offsets.items() if name.endswith(_MADE)}


def read(offsets: Mapping[str, int]) -> dict[Partition, int]:
    """ValueError for a key that `written` did not make."""
    found = {}
    for name, offset in offsets.items():
        if name.endswith(_MADE):
            continue
        topic, colon, partition = name.rpartition(":")
        if not colon:
            raise ValueError(f"not a topic and partition: {name!r}")
        found[topic, int(partition)] = offset
    return found
