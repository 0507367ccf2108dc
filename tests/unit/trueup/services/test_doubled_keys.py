"""A follower that lost its primary key and holds a key twice: the daemon calls neither the chunk nor the key equal."""

from __future__ import annotations

import struct
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fixtures.memory_group import MemoryServers, T, described

from connectors.journal.opening import open_journal
from connectors.memory.replica import MemoryReplica
from connectors.memory.stream import MemoryStream
from trueup.services.follow import FollowService
from trueup.services.rounds import Rounds
from trueup.services.scan import Pace, ScanService
from trueup.services.verify import Verified, VerifyService
from verifier.digest import Digest
from verifier.drift import Verdict
from verifier.errors import Permanent
from verifier.keyrange import KeyRange
from verifier.look import Look
from verifier.packed import PackedDigests
from verifier.policy import ScanPolicy, SettlePolicy
from verifier.table import Key, Table

DOUBLED: Key = (3,)


class _Heap:
    """A server in memory that packs what it read, as engines do: the doubled row first, as it lies."""

    def __init__(self, inner: MemoryReplica, doubled: int | None) -> None:
        self.inner, self.doubled = inner, doubled

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def row_digests(self, table: Table, within: KeyRange) -> Look[Mapping[Key, int]]:
        look = self.inner.row_digests(table, within)
        rows = list(look.value.items())
        if self.doubled is not None and DOUBLED in look.value:
            rows.insert(0, (DOUBLED, self.doubled))
        return replace(look, value=PackedDigests.whole(b"".join(struct.pack(">qQ", key[0], h) for key, h in rows)))

    def digest(self, table: Table, within: KeyRange) -> Look[Digest]:
        look = self.row_digests(table, within)
        assert isinstance(look.value, PackedDigests)
        return Look(look.value.digest(), look.low, look.high, look.view)

    def point_digests(self, table: Table, keys: Collection[Key]) -> Look[Mapping[Key, int]]:
        if self.doubled is not None and DOUBLED in keys:
            raise Permanent(f"several rows of {table.name} share their key (id); name a key that is unique")
        return self.inner.point_digests(table, keys)

    def rows(self, table: Table, keys: Collection[Key]) -> Any:
        self.point_digests(table, keys)
        return self.inner.rows(table, keys)


@pytest.mark.parametrize("touched", [False, True])
@pytest.mark.parametrize("doubled", [7, None])
def test_neither_the_chunk_nor_the_key_is_called_equal(tmp_path: Path, doubled: int | None, touched: bool) -> None:
    """`touched`: a change of the very key brings it to verification before the scan does."""
    servers = MemoryServers(described(T))
    clock, server = servers.clock, servers.server
    servers.insert(T, range(10))
    servers.catch_up()
    leader = _Heap(MemoryReplica("leader", server), None)
    one = _Heap(MemoryReplica("one", servers.followers["one"]), doubled)
    journal = open_journal(tmp_path / "journal.db", "shop")
    world = servers.grouped(leader, {"one": one})
    verified: list[Verified] = []
    follow = FollowService(world, MemoryStream(server), journal.stream, poll_seconds=0.0, gather_seconds=0.0)
    verify = VerifyService(world, "one", journal.stream, SettlePolicy(), settled=verified.append, rounds=Rounds(1.0))
    scan = ScanService(world, journal.scans, journal.stream, ScanPolicy(), Pace(1_000.0, rest=0.0))
    if touched:
        follow.tick(clock.now())
        writing = server.begin()
        assert writing.update(T, DOUBLED, {"v": "y"})
        writing.commit()
        servers.catch_up()
    for _ in range(40):
        follow.tick(clock.now())
        verify.tick(clock.now())
        scan.tick(clock.now())
        clock.at += 0.05
    equal = [key for told in verified for key in told.equal]
    verdicts = {result.verdict for result in journal.scans.chunks(T)}
    left = journal.stream.touched_count("one")
    blind = set(journal.stream.blind([T]))
    journal.close()
    if doubled is None:  # the very same world, healthy
        assert (equal, verdicts, left, blind) == ([DOUBLED] if touched else [], {Verdict.MATCH}, 0, set())
        return
    assert (equal, [told.drifts for told in verified]) == ([], [])
    assert verdicts == {Verdict.UNVERIFIED}
    assert left or T in blind
