"""A chunk on one follower whose suspects have not all settled."""

from __future__ import annotations

from dataclasses import dataclass

from verifier.digest import EMPTY, Digest
from verifier.drift import Verdict
from verifier.journal import ChunkResult
from verifier.keyrange import Chunk
from verifier.scan import ChunkRead

PENDING = "not settled yet"


@dataclass(slots=True)
class Opened:
    """`waiting`: what is still to come, its suspects, and one if parts of the chunk are still to be read."""

    chunk: Chunk
    waiting: int
    leader: Digest = EMPTY
    follower: Digest = EMPTY
    seconds: float = 0.0
    drifted: int = 0
    unsettled: int = 0
    reason: str | None = None

    def add(self, read: ChunkRead, follower: Digest, suspects: int) -> None:
        """The chunk, or a part of it, was read."""
        self.leader, self.follower = self.leader + read.leader, self.follower + follower
        self.seconds += read.seconds
        self.waiting += suspects

    def result(self, follower: str, now: float) -> ChunkResult:
        """As far as it is known."""
        verdict = Verdict.MATCH
        reason = self.reason
        if self.waiting:
            verdict, reason = Verdict.UNVERIFIED, PENDING
        elif self.drifted:
            verdict = Verdict.DRIFT
        elif self.reason is not None:
            verdict = Verdict.UNVERIFIED
        return ChunkResult(
            chunk=self.chunk,
            follower=follower,
            verdict=verdict,
            leader=self.leader,
            follower_digest=self.follower,
            drifted=self.drifted,
            unsettled=self.unsettled,
            reason=reason,
            seconds=self.seconds,
            at=now,
        )
