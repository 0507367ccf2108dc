"""What `trueup doctor` says of followers that tell no position, and of the watermark that stands in for one: it only
reads the row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from config.settings import Group
from connectors.remark import Remark
from trueup.bootstrap.servers import watermark_of
from trueup.bootstrap.watermark import Watermarks, name_on
from verifier.errors import Permanent, Temporary
from verifier.ports import Replica
from verifier.watermark import ADVANCE, DEFINITION, Watermark, WatermarkedFollower, needs_watermark

_TABLE = "trueup_watermark"


def watermark(group: Group, leader: Replica, followers: Mapping[str, Replica]) -> Iterator[tuple[str, Remark]]:
    """Nothing where every follower tells how far it follows."""
    policy = watermark_of(group)
    try:
        if policy is None:
            yield from (("watermark", _without(one, leader)) for one in followers.values() if _blind(leader, one))
            return
        marks = Watermarks(policy, leader, followers, None)
        ours = Watermark(leader, name_on(leader, policy.table)).tick()
        who = "trueup counts it up" if policy.write else "a job of yours counts it up"
        yield "watermark", Remark("ok", f"{policy.table} stands at {ours} on the leader; {who}")
        if not policy.ordered:
            yield "watermark", Remark("note", "nothing is proven by it: nobody vouches that commits arrive in order",
                                      "set watermark.ordered, if followers show them so and none twice")  # fmt: skip
        for replica in followers.values():
            _, theirs = marks.placed(replica)
            if isinstance(theirs, WatermarkedFollower):
                yield "watermark", Remark("ok", f"{replica.name} is judged by it, and shows {theirs.position()}")
    except (Temporary, Permanent) as problem:
        yield "watermark", Remark("error", str(problem))


def _blind(leader: Replica, follower: Replica) -> bool:
    try:
        return needs_watermark(leader, follower)
    except Temporary:
        return False


def _without(follower: Replica, leader: Replica) -> Remark:
    name = f"{leader.default_schema}.{_TABLE}" if leader.default_schema else _TABLE
    return Remark(
        "note",
        f"{follower.name} tells no position in {leader.name}'s log: only what stands still is proven there",
        f"a watermark row: on the leader {DEFINITION.format(table=name)} replicate it as the other tables are, run "
        f"'{ADVANCE.format(table=name)}' once a second (or set watermark.write), and set watermark.table: {name}",
    )
