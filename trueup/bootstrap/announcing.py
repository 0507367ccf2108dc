"""Drift that is opened, changed or cleared, as events: shaped for the journal, which keeps them in the finding's own
transaction, and sent where no daemon does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from reconciler.events import Announcer, DriftNews, drift_event
from trueup.clock import SystemClock
from verifier.errors import Permanent, Temporary
from verifier.table import TableName

if TYPE_CHECKING:
    from config.settings import Group
    from connectors.journal.opening import Journal
    from reconciler.ports import Event, EventSink
    from verifier.drift import Drift
    from verifier.ports import Clock

_PATIENCE_SECONDS = 10.0

_TOPICS = ("drift", "repairs", "violations")

KeyOf = Callable[[TableName], Sequence[str]]
"""The names of a table's key columns, as they were described last. Asks no server."""


def announced_by(announcer: Announcer, key_of: KeyOf) -> Callable[[Drift, str], Event]:
    """What the journal calls when drift is opened, changed or cleared."""
    return partial(_announced, announcer, key_of)


def heard(group: Group, journal: Journal, clock: Clock) -> None:
    """Where the group's events go nowhere, none wait in the journal. Dead letters do: they are all that is left of a
    message."""
    if group.events.kind == "none":
        journal.outbox.leave_out(_TOPICS, clock.now())


def sent(group: Group, journal: Journal, clock: Clock, note: Callable[[str], None]) -> None:
    """Send what waits in the journal, unless a daemon of the group runs, which does so by itself. Where they go may be
    away: that is noted after some ten seconds, and they wait for whoever sends next."""
    from trueup.bootstrap.events import event_sink
    from trueup.bootstrap.lease import holder

    try:
        if not journal.outbox.pending(1) or holder(journal, clock.now()) is not None:
            return
        sink = event_sink(group)
        if sink is not None:
            relayed(journal, sink, clock)
    except (Temporary, Permanent) as problem:
        note(f"events of drift are kept in the journal and could not be sent yet: {problem}")


def relayed(journal: Journal, sink: EventSink, clock: Clock, patience_seconds: float = _PATIENCE_SECONDS) -> None:
    """Send all, and close the sink. Temporary if it takes none for that long; Permanent at once."""
    from trueup.services.relay import RelayService

    relay = RelayService(journal.outbox, sink, clock)
    until = clock.now() + patience_seconds
    try:
        while journal.outbox.pending(1):
            try:
                if relay.tick(clock.now()) == 0.0:
                    until = clock.now() + patience_seconds
                    continue
            except Temporary:
                if clock.now() >= until:
                    raise
            if clock.now() >= until:
                raise Temporary(f"only some of them were taken within {patience_seconds:g} s")
            clock.sleep(0.2)
    finally:
        relay.close()


def _announced(announcer: Announcer, key_of: KeyOf, drift: Drift, what: str) -> Event:
    """The event of a drift; the journal's transaction is open, so nothing is asked of any server here."""
    return drift_event(announcer, drift, DriftNews(what), key_columns=key_of(drift.table), now=SystemClock().now())
