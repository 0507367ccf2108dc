"""Offsets as the journal keeps them: `topic:partition` to the offset to read next, `topic#made` to the broker's own
number of the topic, which is another once the topic was deleted and made anew, and `topic:partition@offset` to the mark
of the last message that was read (`connectors.kafka.steady`)."""

from __future__ import annotations

from collections.abc import Mapping

from connectors.debezium.pending import Partition
from connectors.kafka.steady import Mark

_MADE, _AT = "#made", "@"  # no topic's name has such characters


def written(
    offsets: Mapping[Partition, int],
    made: Mapping[str, int] | None = None,
    marks: Mapping[Partition, Mark] | None = None,
) -> dict[str, int]:
    """`made`: the broker's own number of each topic; `marks`: of what was read last."""
    last = {
        f"{topic}:{partition}{_AT}{offset}": mark
        for (topic, partition), (offset, mark) in (marks or {}).items()
        if (topic, partition) in offsets
    }
    found = {f"{topic}:{partition}": offset for (topic, partition), offset in offsets.items()}
    return found | {f"{topic}{_MADE}": number for topic, number in (made or {}).items()} | last if found else {}


def made(offsets: Mapping[str, int]) -> dict[str, int]:
    """The numbers of the topics that these offsets are of."""
    return {name.removesuffix(_MADE): number for name, number in offsets.items() if name.endswith(_MADE)}


def marks(offsets: Mapping[str, int]) -> dict[Partition, Mark]:
    """What was read last where these offsets were written."""
    found = {}
    for name, mark in offsets.items():
        place, _, offset = name.partition(_AT)
        topic, _, partition = place.rpartition(":")
        if offset:
            found[topic, int(partition)] = int(offset), mark
    return found


def read(offsets: Mapping[str, int]) -> dict[Partition, int]:
    """ValueError for a key that `written` did not make."""
    found = {}
    for name, offset in offsets.items():
        if name.endswith(_MADE) or _AT in name:
            continue
        topic, colon, partition = name.rpartition(":")
        if not colon:
            raise ValueError(f"not a topic and partition: {name!r}")
        found[topic, int(partition)] = offset
    return found
