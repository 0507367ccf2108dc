"""Dead letters on their way into the outbox, in the transaction that lets the offsets advance.

They wait there for the relay. As many as `waiting_max` may: then the stream is not read further, so that nothing is
lost and the journal does not grow without end. A connector that spells everything wrong stops it within seconds, and
the tables are unverified from the first message on.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import trueup
from reconciler.events import Announcer
from reconciler.letters import TOPIC, dead_letter_event
from reconciler.ports import Event, Outbox
from verifier.change import DeadLetter
from verifier.errors import Temporary

logger = logging.getLogger("trueup.follow")

WAITING_MAX = 10_000


@dataclass(slots=True)
class DeadLetters:
    """`delivers`: something sends what is in the outbox."""

    announcer: Announcer
    outbox: Outbox
    delivers: bool
    waiting_max: int = WAITING_MAX
    _maybe_full: bool = True

    def room(self) -> None:
        """Temporary while too many wait. Asks the journal only after letters were written."""
        if not self._maybe_full:
            return
        waiting = self.outbox.pending_count(TOPIC)
        if waiting >= self.waiting_max:
            do = (
                "see why the events are not delivered (the log of service relay tells)"
                if self.delivers
                else "name in `events` where to send them"
            )
            raise Temporary(
                f"group {self.announcer.group}: {waiting:,} dead letters wait in the journal, the stream is not read "
                f"further before there are fewer than {self.waiting_max:,}; {do}, and see what is wrong with the topic"
            )
        self._maybe_full = False

    def events(self, letters: Sequence[DeadLetter], now: float) -> list[Event]:
        """What to write in the journal together with the offsets."""
        return [dead_letter_event(self.announcer, one, version=trueup.__version__, now=now) for one in letters]

    def written(self, letters: Sequence[DeadLetter]) -> None:
        """The journal has them; one line of the log for each topic and kind of fault, with no values."""
        if not letters:
            return
        self._maybe_full = True
        counts = Counter((one.topic, one.fault) for one in letters)
        first = {(one.topic, one.fault): one for one in reversed(letters)}
        for (topic, fault), count in counts.items():
            one = first[topic, fault]
            told: dict[str, object] = {"action": "dead_letter", "topic": topic, "partition": one.partition}
            told |= {"offset": one.offset, "error": fault, "why": one.text, "count": count}
            logger.warning("message not understood", extra=told)
