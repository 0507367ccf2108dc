"""Servers that hash a constant row otherwise are not compared natively, whenever they are met."""

from __future__ import annotations

from contextlib import closing

import pytest
from stack.mysql_servers import MysqlPair

from connectors.mysql import agreement
from connectors.mysql.replica import MysqlReplica, Options
from verifier.errors import Permanent
from verifier.look import Role
from verifier.table import Family

pytestmark = pytest.mark.mysql


def test_one_that_hashes_otherwise_is_refused_at_once_or_when_it_answers(
    either_pair: MysqlPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        closing(MysqlReplica("leader", either_pair.leader.url(), Options(role=Role.LEADER))) as leader,
        closing(MysqlReplica("follower", either_pair.replica.url())) as follower,
        closing(MysqlReplica("late", either_pair.replica.url())) as late,
    ):
        assert agreement.agree([leader, follower], [], later=[late]).reasons == ()
        assert late.identity().role is Role.SUBSCRIBER
    # A constant that is none, so that the two servers hash otherwise.
    row = {**vars(agreement)["_PROBED"], "y": (Family.INTEGER, "int", "@@port")}
    monkeypatch.setattr("connectors.mysql.agreement._PROBED", row)
    with (
        closing(MysqlReplica("leader", either_pair.leader.url(), Options(role=Role.LEADER))) as leader,
        closing(MysqlReplica("follower", either_pair.replica.url())) as follower,
        closing(MysqlReplica("late", either_pair.replica.url())) as late,
    ):
        with pytest.raises(Permanent, match="follower hashes a constant row otherwise than leader"):
            agreement.agree([leader, follower], [])
        assert agreement.agree([leader], [], later=[late]).reasons == ()
        for _ in range(2):
            with pytest.raises(Permanent, match="late hashes a constant row otherwise than leader"):
                late.identity()
