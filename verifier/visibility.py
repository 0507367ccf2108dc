"""The visibility rule (DESIGN 3.1): a pair of looks and what was in flight between them give verdicts, at once.

For a key outside the set in flight both looks showed it after exactly the same transactions, so its values must be
equal; a difference there is drift, now, with no second look. A key in flight is neither drift nor match, even where
both sides happen to look alike: it is looked at again.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from verifier.digest import Digest
from verifier.drift import Certainty, Evidence, Kind, Method, differing
from verifier.look import Look, Row
from verifier.position import Position
from verifier.table import Key
from verifier.window import InFlight

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Judgement:
    """Every key of two looks, in exactly one of three places. `why` is the reason where nothing could be judged."""

    matched: frozenset[Key] = frozenset()
    drifted: Mapping[Key, Kind] = field(default_factory=dict)
    in_flight: frozenset[Key] = frozenset()
    why: str = ""


def judge(
    leader: Mapping[Key, int],
    follower: Mapping[Key, int],
    in_flight: InFlight,
    asked: Collection[Key] | None = None,
) -> Judgement:
    """Verdicts for row digests by key.

    `asked` are the keys that both looks asked for; None for a look at a key range, where a key in flight that
    neither side holds is not mentioned (nobody here can say whether it lies in the range; the stream named it, so
    it is looked at as a touched key).
    """
    known = leader.keys() | follower.keys() if asked is None else frozenset(asked)
    if not in_flight.judgeable:
        return Judgement(in_flight=frozenset(known), why=in_flight.why)
    doubtful = frozenset(known & in_flight.keys)
    drifted = {key: kind for key, kind in differing(leader, follower) if key in known and key not in doubtful}
    return Judgement(frozenset(known - doubtful - drifted.keys()), drifted, doubtful)


class ChunkOutcome(enum.Enum):
    """What the two digests of a chunk say."""

    MATCH = "match"  # every key outside the set in flight matches
    DRIFT = "drift"  # the chunk holds drift; which keys, the row digests will tell
    UNCLEAR = "unclear"  # look closer: keys in flight, or looks that cannot be judged


def judge_digests(leader: Digest, follower: Digest, in_flight: InFlight) -> ChunkOutcome:
    """The cheap path: two aggregates. Equal sums are equal rows whatever is in flight; the keys in flight remain
    to be judged even then, and only a chunk of a table without any can be called drifted."""
    if not in_flight.judgeable:
        return ChunkOutcome.UNCLEAR
    if leader == follower:
        return ChunkOutcome.MATCH
    return ChunkOutcome.UNCLEAR if in_flight.keys else ChunkOutcome.DRIFT


def visibility_evidence(leader: Look[T], follower: Look[T], read_through: Position) -> Evidence:
    """What convinced us, for the report: both looks' positions and how far the stream had been read."""
    return Evidence(
        Certainty.PROVEN,
        Method.VISIBILITY,
        {
            "leader": leader.high.text(),
            "follower_low": follower.low.text(),
            "follower_high": follower.high.text(),
            "stream": read_through.text(),
        },
    )


def digests(rows: Mapping[Key, Row]) -> Mapping[Key, int]:
    """The row digests of a look at rows."""
    return {key: row.digest for key, row in rows.items()}
