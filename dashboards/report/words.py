"""What the report's terms mean, in words for a reader who was not there."""

from __future__ import annotations

VERDICTS = {
    "match": ("✓", "equal", "Every follower equals its leader"),
    "drift": ("✗", "drift", "Drift found"),
    "unverified": ("?", "unverified", "Not everything could be verified"),
    "holds": ("✓", "holds", ""),
    "violated": ("✗", "violated", ""),
}
"""Sign, word and headline."""

METHODS = {
    "visibility": "both reads saw exactly the same transactions of this key",
    "bracketed": "the leader held one and the same row version before and after the follower was read",
    "snapshot": "nothing was written to the leader while both sides were read",
    "repeated": "the difference stayed through several looks; there are no row versions to prove it",
}
POSITIONS = {
    "leader": "how far the leader's log was written when its row was read",
    "follower": "how far the follower had applied the leader's log when its row was read",
    "follower_low": "what the follower had applied at least, before its row was read",
    "follower_high": "what the follower had applied at most, after its row was read",
    "leader_again": "how far the leader's log was written at the second read, which found the row unchanged",
    "follower_again": "what the follower had applied when it was read once more",
    "recorded": "how far the leader's log was written when the position of the backup was noted down",
    "state": "the last change of the row that the follower's look surely showed: its values are none of that one's, "
    "nor of a later one's",
    "stream": "how far the change stream had been read when the looks were judged",
}
CERTAINTIES = {
    "proven": "replication still on its way cannot explain the difference",
    "probable": "looked at several times with the same result; a proof needs row versions, a change stream or a leader "
    "that stands still",
}
CAUSES = {
    "lost": "a change of the leader never took effect on the follower",
    "doubled": "a change took effect twice",
    "reordered": "an older change took effect after a newer one",
    "altered": "a change arrived with values that the leader never had",
    "rogue": "somebody else wrote the row on the follower",
    "unknown": "its history is too short to tell why, or tells more than one possible cause",
}
SCHEMES = {
    "native": "each server hashes rows with its own cheapest sound function (64 bits)",
    "canonical": "each server writes the same canonical text of a row and hashes that",
    "client": "trueup reads every row and hashes its canonical form",
    "unknown": "not known any more",
}
