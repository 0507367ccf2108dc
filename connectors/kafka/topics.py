"""The connector's topics: which there are, whether they are still the ones that were read, and which may lose messages.

Offsets mean nothing in a topic that was deleted and made anew, even if they exist there again, so the broker's own
number of each topic is journaled with them. A topic that the broker does not know is gone, unless the broker was just
started, which knows it in a moment: so it is asked for some seconds. A compacted topic may lose changes before they are
read: Debezium's topics must not be.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from time import monotonic

from connectors.debezium.event import End
from connectors.debezium.naming import topic_of
from connectors.debezium.pending import Partition
from connectors.kafka.port import Consumer
from verifier.errors import Misconfigured, Temporary

_UNKNOWN_SECONDS = 10.0
_ANOTHER_SECONDS = 60.0
"""What is seen after so long is another outage."""


class Topics:
    """`order` is where the transactions are. `numbers` are those of the topics that are read, as far as the broker
    tells them. `seconds` is a monotonic clock."""

    def __init__(
        self, consumer: Consumer, prefix: str, order: Partition, seconds: Callable[[], float] = monotonic
    ) -> None:
        self._consumer = consumer
        self._prefix = prefix
        self._order = order
        self._seconds = seconds
        self._unknown: tuple[float, float] | None = None  # since when some are not known, and when that was seen last
        self.numbers: dict[str, int] = {}
        self._compacted: dict[str, bool] = {}

    def find(self) -> set[Partition]:
        """All partitions of the connector's topics, and of its heartbeat topic. Misconfigured if the order of the
        transactions has several."""
        found: set[Partition] = set()
        for topic, numbers in self._consumer.partitions().items():
            if topic == self._order[0] and len(numbers) != 1:
                raise Misconfigured(
                    f"kafka topic {topic} has {len(numbers)} partitions, needs exactly 1 to carry the commit order: "
                    f"delete it and let the connector make it with topic.creation.default.partitions=1"
                )
            if topic.startswith(f"{self._prefix}.") or topic in (self._prefix, f"__debezium-heartbeat.{self._prefix}"):
                found.update((topic, number) for number in numbers)
        return found

    def begin(self, numbers: Mapping[str, int]) -> None:
        """What was read has these numbers."""
        self.numbers = dict(numbers)
        self._compacted.clear()

    def begin_anew(self, places: Iterable[Partition]) -> None:
        """These are read from now on, whatever was read. Nothing has changed if the broker cannot be asked."""
        self.begin(self._consumer.made({topic for topic, _ in places}))

    def learn(self, places: Iterable[Partition]) -> None:
        """These are read from now on."""
        new = {topic for topic, _ in places} - self.numbers.keys()
        if new:
            self.numbers.update(self._consumer.made(new))

    def made_anew(self) -> Collection[str]:
        """Asks for those that are not what was read."""
        if not self.numbers:
            return ()
        now = self._consumer.made(self.numbers.keys())
        return [topic for topic, number in self.numbers.items() if now.get(topic, number) != number]

    def bounds(
        self, places: Collection[Partition], known: Collection[Partition]
    ) -> Mapping[Partition, tuple[int, int]]:
        """Those of `places`. Temporary while the broker does not know all of `known`, and may yet come to."""
        bounds = self._consumer.bounds(places)
        unknown = sorted(place for place in known if place not in bounds)
        if not unknown:
            self._unknown = None
            return bounds
        now = self._seconds()
        since = self._unknown[0] if self._unknown is not None and now - self._unknown[1] < _ANOTHER_SECONDS else now
        self._unknown = since, now
        if now - since < _UNKNOWN_SECONDS:
            (topic, number), *_ = unknown
            raise Temporary(f"kafka does not know {topic}:{number}, which was read before: was the broker just started")
        return bounds

    def losing(self, head: End) -> list[str]:
        """Topics of this transaction's tables that are compacted."""
        topics = [topic_of(self._prefix, name) for name, _ in head.by_table]
        unknown = [topic for topic in topics if topic not in self._compacted]
        if unknown:
            found = set(self._consumer.compacted(unknown))
            self._compacted.update((topic, topic in found) for topic in unknown)
        return [topic for topic in topics if self._compacted[topic]]
