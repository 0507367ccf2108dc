"""The heartbeat table of one group, wired: on which followers it tells the lag."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from config.settings import Group
from trueup.bootstrap.servers import heartbeat_of
from trueup.bootstrap.watermark import name_on
from verifier.errors import Misconfigured
from verifier.heartbeat import Heartbeat
from verifier.ports import Replica
from verifier.position import Tick
from verifier.watermark import needs_watermark


@dataclass(slots=True)
class Beats:
    """`trueup.services.watch.Beating`."""

    heartbeat: Heartbeat
    leader: Replica
    followers: Mapping[str, Replica]
    _needs: dict[str, bool] = field(default_factory=dict)

    def tells(self, name: str) -> bool:
        named = self.heartbeat.policy.followers
        if named:
            return name in named
        if name not in self._needs:
            self._needs[name] = needs_watermark(self.leader, self.followers[name])
        return self._needs[name]

    def written(self) -> Tick:
        return self.heartbeat.beat(self.leader)

    def shown(self, name: str) -> Tick:
        return self.heartbeat.beat(self.followers[name])


def open_beats(group: Group, leader: Replica, followers: Mapping[str, Replica]) -> Beats | None:
    """None without a heartbeat table. Nothing is asked yet. Misconfigured if a follower is named that there is not, or
    the table's schema is nowhere said."""
    policy = heartbeat_of(group)
    if policy is None:
        return None
    for name in policy.followers:
        if name not in followers:
            raise Misconfigured(f"the heartbeat is for a follower {name!r}; there are {', '.join(sorted(followers))}")
    tables = {leader.name: str(name_on(leader, policy.table))}
    tables |= {name: str(name_on(replica, policy.table, leader)) for name, replica in followers.items()}
    return Beats(Heartbeat(policy, tables), leader, followers)
