"""Pausing, resuming, restarting and deleting a connector, each of them done when its state is real.

Kafka Connect accepts such a request at once and does it later, and for a moment goes on telling the state of before.
So a state counts when it has been told for a while without a break. A connector that comes up fails a second later if
its slot is gone: RUNNING counts no sooner than FAILED would.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from connectors.debezium.connect import Connect, NotRegistered, Status
from verifier.errors import Temporary

STEADY_SECONDS = 1.5
_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Outcome:
    """`reached`: all of it has the state that was asked for. Otherwise `status` is what it has instead, or has still
    when patience ended (None: it was never told)."""

    reached: bool
    status: Status | None
    waited_seconds: float


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """Of one connector. Calls raise what `Connect` raises; a worker that does not answer for a while is waited for.

    `steady_seconds`: for how long a state is told before it counts; `seconds_max`: how long all of it may take.
    """

    connect: Connect
    name: str
    steady_seconds: float = field(default_factory=lambda: STEADY_SECONDS)
    seconds_max: float = 60.0

    def restart(self) -> Outcome:
        """The connector and all its tasks, whatever their state; reached when all of it runs."""
        self.connect.restart(self.name)
        return self.until("RUNNING")

    def pause(self) -> Outcome:
        """Its tasks stay, with their slots and connections, and bring nothing."""
        self.connect.pause(self.name)
        return self.until("PAUSED")

    def resume(self) -> Outcome:
        self.connect.resume(self.name)
        return self.until("RUNNING")

    def delete(self, *, forget: bool = False) -> Outcome:
        """Reached when Connect no longer knows it. With `forget` its offsets go, too: a connector of the same name then
        begins at the present instead of where this one was."""
        if forget:
            self.connect.stop(self.name)
            stopped = self.until("STOPPED")
            if not stopped.reached:
                return stopped
            self.connect.forget(self.name)
        self.connect.delete(self.name)
        return self._watch(lambda status: status is None, steady=0.0)

    def until(self, state: str) -> Outcome:
        """Wait until connector and tasks have this state, have failed, or patience ends."""
        return self._watch(lambda status: status is not None and status.all(state), steady=self.steady_seconds)

    def _watch(self, wished: Callable[[Status | None], bool], *, steady: float) -> Outcome:
        began = time.monotonic()
        since: tuple[str, float] | None = None
        while True:
            status = self._status()
            now = time.monotonic()
            told = "wished" if wished(status) else "failed" if status is not None and status.traces else ""
            if since is None or since[0] != told:
                since = (told, now)
            # What failed may be an old story for longer than what runs: patience with it is doubled.
            enough = steady if told == "wished" else max(steady, 0.5) * 2
            if (told and now - since[1] >= enough) or now - began >= self.seconds_max:
                return Outcome(told == "wished", status, now - began)
            time.sleep(_POLL_SECONDS)

    def _status(self) -> Status | None:
        """None: not known (any more, or yet). While nobody answers: as a connector of which nothing is told."""
        try:
            return self.connect.status(self.name)
        except NotRegistered:
            return None
        except Temporary:
            return Status(self.name, "UNKNOWN", ())
