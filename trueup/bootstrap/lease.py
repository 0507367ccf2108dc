"""The lease of a daemon on its group: one daemon per group and journal, and a successor without a long wait.

A daemon that was killed leaves its lease behind. It runs out by itself, but where the owner's text tells that it was a
process of this very machine and that process is gone, the successor takes it over at once. Safe either way: every
taking has a higher token, and the journal refuses to write under an older one.
"""

from __future__ import annotations

import hashlib
import logging
import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from connectors.journal.leases import SqlLeases
from connectors.journal.opening import Journal
from verifier.errors import Permanent
from verifier.ports import Clock

logger = logging.getLogger("trueup.daemon")

LEASE = "daemon"
_LEASE_SECONDS = 10.0
_RENEW_SECONDS = 3.0
_POLL_SECONDS = 0.5


@dataclass(slots=True)
class LeaseService:
    """Keeps the group's lease. Permanent once another daemon took it: then every write is refused as well."""

    leases: SqlLeases
    token: int
    name: str = "lease"

    def tick(self, now: float) -> float:
        # By the machine's time, as others see it: `now` stays ahead where that was set back (`trueup.clock`).
        if not self.leases.renew(LEASE, self.token, _LEASE_SECONDS, time.time()):
            raise Permanent("another daemon took over this group; this one writes nothing any more, stop it")
        return _RENEW_SECONDS


def take(journal: Journal, instance: str, clock: Clock) -> int:
    """The token of the group's lease, taken; from now on the journal writes under it alone. Permanent, naming the
    owner, if another daemon lives; waits for one of which nobody knows whether it does."""
    until = clock.now() + _LEASE_SECONDS + 2.0
    me = owner(instance)
    told = False
    while True:
        token = journal.leases.acquire(LEASE, me, _LEASE_SECONDS, clock.now())
        if token is not None:
            journal.fence(LEASE, token)
            return token
        holder = journal.leases.holder(LEASE, clock.now())
        if holder is None:
            continue
        lives = alive(holder.owner)
        if lives is False:
            journal.leases.release(LEASE, holder.token)
            continue
        if lives or clock.now() >= until:
            raise Permanent(
                f"group {journal.group!r}: another daemon ({shown(holder.owner)}) runs on this journal; stop it, or "
                "give this one a journal of its own"
            )
        if not told:
            told = True
            said = {"action": "lease_held", "owner": shown(holder.owner)}
            logger.warning("waiting for the lease of another daemon to run out", extra=said)
        clock.sleep(_POLL_SECONDS)


def holder(journal: Journal, now: float) -> str | None:
    """Who runs this group now, for people; None if no daemon does, or the one that did is dead."""
    found = journal.leases.holder(LEASE, now)
    return None if found is None or alive(found.owner) is False else shown(found.owner)


def owner(instance: str) -> str:
    """This process, as a lease's owner: `instance on host, process 12 (77 0123456789ab)`. In brackets what tells it
    from others of the same number: when it started, and in which machine's or container's table of processes."""
    pid = os.getpid()
    return f"{instance} on {socket.gethostname()}, process {pid} ({_started(pid)} {_place()})"


def shown(owner: str) -> str:
    """The owner without its brackets."""
    return owner.rpartition(" (")[0] or owner


def alive(owner: str) -> bool | None:
    """Whether that process lives; None if it is not of this machine, or nobody can tell."""
    name, _, mark = owner.rpartition(" (")
    number = name.rpartition(" ")[2]
    started, _, place = mark.rstrip(")").partition(" ")
    if not number.isdecimal() or not place or place != _place():
        return None
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return None
    return _started(int(number)) == started


def _started(pid: int) -> str:
    """When the process started, in ticks since boot; `dead` for one that only waits to be buried, '' if unknown."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "dead" if fields[0] in "ZX" else fields[19]


def _place() -> str:
    """Which table of processes we are in: this boot and this namespace. '' where the system does not tell."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()
        namespace = Path("/proc/self/ns/pid").readlink()
    except OSError:
        return ""
    return hashlib.sha256(f"{boot}{namespace}".encode()).hexdigest()[:12]
