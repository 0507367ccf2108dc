"""What an address leads to, and which server answered there first.

Behind an address there may be another server one day: a new leader to which it was moved, a former leader that came
back, a standby that leads by now. Whoever asks must notice at the next connection, as `connectors.postgres` does.
"""

from __future__ import annotations

from dataclasses import dataclass

from connectors.memory.follower import Follower
from connectors.memory.leader import Leader
from verifier.errors import Permanent, Temporary, Unreachable
from verifier.look import Role
from verifier.ports import Identity

Server = Leader | Follower


@dataclass(slots=True)
class Address:
    """Where a replica is asked; None: nobody answers there."""

    server: Server | None


@dataclass(slots=True)
class Connection:
    """One replica's way to its server. `role` is found out at the first contact, and kept."""

    name: str
    address: Address
    role: Role | None = None
    _server: Server | None = None
    _known: tuple[str, int] | None = None

    def server(self) -> Server:
        """Who answers now. Unreachable if nobody does; Permanent if it is another server than at first: of another
        cluster, or a leader on another timeline."""
        server = self.address.server
        if server is None:
            self._server = None
            raise Unreachable(f"{self.name}: nobody answers")
        if server is not self._server:
            self._recognise(server)
            self._server = server
        return server

    def still(self, server: Server) -> Server:
        """The same within one look. Unreachable if the connection broke meanwhile."""
        if self.address.server is not server:
            self._server = None
            raise Unreachable(f"{self.name}: the connection was lost")
        return server

    def acting(self, server: Server) -> Server:
        """The server as what it is by now. Errors where it does not serve in the role that it had: Permanent from a
        leader that is a standby now, Temporary from a standby that was promoted."""
        if self.role is Role.LEADER and isinstance(server, Follower) and server.promoted is None:
            raise Permanent(f"{self.name} is a standby, not the leader")
        if self.role is Role.STANDBY and leads(server) is not None:
            raise Temporary(f"{self.name} is no standby any more, it was promoted")
        return leads(server) or server

    def identity(self, server: Server) -> Identity:
        timeline = leading.timeline if (leading := leads(server)) else _follower(server).leader.timeline
        role = self.role
        if role is not Role.LEADER:
            role = Role.SUBSCRIBER if leading else _follower(server).role
        assert role is not None
        return Identity("memory", "1", self._system(server), timeline, role)

    def _recognise(self, server: Server) -> None:
        if self.role is None:
            self.role = role_of(server)
        leading = leads(server)
        found = (self._system(server), leading.timeline if leading is not None and self.role is Role.LEADER else 0)
        known = self._known
        if known is None:
            self._known = found
        elif known[0] != found[0] or (known[1] and known != found):
            was, now = (
                f"cluster {one}, {f'timeline {line}' if line else 'a follower'}" for one, line in (known, found)
            )
            raise Permanent(f"{self.name} is another server by now ({now}; it was {was})")

    def _system(self, server: Server) -> str:
        """A subscriber is a cluster of its own; standbys share their leader's."""
        own = isinstance(server, Follower) and server.role is Role.SUBSCRIBER
        return self.name if own else "memory"


def leads(server: Server) -> Leader | None:
    """The leader that this server is, or has become."""
    return server if isinstance(server, Leader) else server.promoted


def role_of(server: Server) -> Role:
    """What a server is to a replica that meets it first. One that was promoted is no standby, and follows nobody."""
    if isinstance(server, Leader):
        return Role.LEADER
    return Role.SUBSCRIBER if server.promoted is not None else server.role


def _follower(server: Server) -> Follower:
    assert isinstance(server, Follower)
    return server
