"""Whether a connector's topics can carry a change stream, for `trueup doctor`."""

from __future__ import annotations

from collections.abc import Iterator

from connectors.kafka.port import Consumer
from connectors.kafka.topics import Topics
from connectors.remark import Remark
from verifier.errors import Misconfigured, Permanent, Temporary


def topics(consumer: Consumer, prefix: str) -> Iterator[Remark]:
    """Remarks on the topics of this prefix. Raises nothing for what is wrong: it says so."""
    order = f"{prefix}.transaction"
    try:
        places = Topics(consumer, prefix, (order, 0)).find()
        names = {topic for topic, _ in places}
        compacted = sorted(consumer.compacted(names))
    except (Misconfigured, Temporary, Permanent) as problem:
        yield Remark("error", str(problem))
        return
    if order not in names:
        yield Remark(
            "error" if names else "note",
            f"kafka has no topic {order} yet: whole transactions cannot be told",
            "set provide.transaction.metadata=true on the connector; it makes the topic with its first transaction",
        )
    for topic in compacted:
        yield Remark(
            "error",
            f"kafka topic {topic} is compacted: changes may be thrown away before they are read, and leave gaps",
            f"set cleanup.policy=delete on {topic}",
        )
    if order in names and not compacted:
        yield Remark("ok", f"{len(names)} kafka topics of {prefix}, none of them compacted")
