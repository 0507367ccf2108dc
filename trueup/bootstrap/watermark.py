"""The watermark of one group, wired: who reads it on which server, and who writes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from trueup.bootstrap.servers import Address
from verifier.errors import Misconfigured, Temporary
from verifier.policy import Limits
from verifier.ports import Placed, Replica
from verifier.table import TableName
from verifier.watermark import (
    Advancing,
    Watermark,
    WatermarkedFollower,
    WatermarkedLeader,
    WatermarkPolicy,
    needs_watermark,
)

if TYPE_CHECKING:
    from trueup.audit.brake import Ticks
    from trueup.bootstrap.beating import Beats


@dataclass(slots=True)
class Watermarks:
    """Which of the followers are judged by the watermark. `advancing` None: others write it."""

    policy: WatermarkPolicy
    leader: Replica
    followers: Mapping[str, Replica]
    advancing: Advancing | None
    _row: Watermark | None = None
    _placed: dict[str, tuple[Placed, Placed]] = field(default_factory=dict)

    def placed(self, follower: Replica) -> tuple[Placed, Placed]:
        """Leader and follower as rules of evidence are to ask them. Temporary if one does not answer, Misconfigured if
        the row is not there."""
        known = self._placed.get(follower.name)
        if known is None:
            known = self._placed[follower.name] = self._chosen(follower)
        return known

    def rows(self, follower: Replica) -> tuple[Watermark, Watermark] | None:
        """The row on the leader and on a follower that is judged by it. Errors as `placed`."""
        ours, theirs = self.placed(follower)
        if isinstance(ours, WatermarkedLeader) and isinstance(theirs, WatermarkedFollower):
            return ours.watermark, theirs.watermark
        return None

    def try_out(self) -> list[str]:
        """Count up once, and read the row wherever it is needed, before anything depends on it; returns remarks, also
        of followers that do not answer now. Misconfigured, Forbidden, Temporary of the leader."""
        ordered = self.policy.ordered
        (self._leader(ordered)).position()
        remarks: list[str] = []
        for name, replica in self.followers.items():
            try:
                _, follower = self.placed(replica)
                if isinstance(follower, WatermarkedFollower):
                    follower.position()
                    what = "is judged by the watermark"
                    remarks.append(f"{name} {what}" + ("" if ordered else ", so nothing is proven there"))
            except Temporary as problem:
                remarks.append(f"{name}: {problem}")
        return remarks

    def close(self) -> None:
        if self.advancing is not None:
            self.advancing.close()

    def _chosen(self, follower: Replica) -> tuple[Placed, Placed]:
        named = self.policy.followers
        wanted = follower.name in named if named else needs_watermark(self.leader, follower)
        if not wanted:
            return self.leader, follower
        theirs = Watermark(follower, name_on(follower, self.policy.table, self.leader))
        return self._leader(self.policy.ordered), WatermarkedFollower(follower, theirs, self.policy.ordered)

    def _leader(self, ordered: bool) -> WatermarkedLeader:
        if self._row is None:
            self._row = Watermark(self.leader, name_on(self.leader, self.policy.table))
        return WatermarkedLeader(self.leader, self._row, ordered, self.advancing)


def ticks_of(marks: Watermarks | None, beats: Beats | None) -> Callable[[Replica], Ticks | None]:
    """Which row tells how late a follower is: the heartbeat, else the watermark."""
    from trueup.audit.brake import Ticks

    def ticks(follower: Replica) -> Ticks | None:
        if beats is not None and beats.tells(follower.name):
            return Ticks(beats.written, lambda: beats.shown(follower.name))
        rows = None if marks is None else marks.rows(follower)
        return None if rows is None else Ticks(rows[0].tick, rows[1].tick)

    return ticks


def name_on(replica: Replica, table: str, leader: Replica | None = None) -> TableName:
    """The watermark's name on that server: of a follower the leader's, the two default schemas taken for each other.
    Misconfigured if its schema is nowhere said."""
    default = replica.default_schema
    schema, dot, name = table.partition(".")
    if not dot:
        if default is None:
            raise Misconfigured(f"the watermark {table!r} needs its schema: {replica.name} has no default one")
        return TableName(default, table)
    if leader is not None and default is not None and schema == leader.default_schema:
        return TableName(default, name)
    return TableName(schema, name)


def open_watermarks(
    policy: WatermarkPolicy, address: Address, leader: Replica, followers: Mapping[str, Replica], limits: Limits
) -> Watermarks:
    """Nothing is connected yet. Misconfigured if a follower is named that there is not."""
    for name in policy.followers:
        if name not in followers:
            raise Misconfigured(f"the watermark is for a follower {name!r}; there are {', '.join(sorted(followers))}")
    advancing = None
    if policy.write:
        writing = _WRITING.get(leader.dialect, _generic)
        advancing = writing(address.url, name_on(leader, policy.table), limits)
    return Watermarks(policy, leader, followers, advancing)


def _postgres(url: str, table: TableName, limits: Limits) -> Advancing:
    from connectors.postgres.watermark import PostgresWatermark

    return PostgresWatermark(url, table, limits)


def _mysql(url: str, table: TableName, limits: Limits) -> Advancing:
    from connectors.mysql.watermark import MysqlWatermark

    return MysqlWatermark(url, table, limits)


def _sqlite(url: str, table: TableName, limits: Limits) -> Advancing:
    from connectors.sqlite.watermark import SqliteWatermark

    return SqliteWatermark(url, table, limits)


def _generic(url: str, table: TableName, limits: Limits) -> Advancing:
    from connectors.generic.watermark import GenericWatermark

    return GenericWatermark(url, table, limits)


_WRITING: Mapping[str, Callable[[str, TableName, Limits], Advancing]] = {
    "postgresql": _postgres, "mysql": _mysql, "mariadb": _mysql, "sqlite": _sqlite,
}  # fmt: skip
