"""May the digest hash JSON by its text, as each engine prints it?

No two engines have one form of JSON that SQL could write. But equal texts are equal values, so equal digests of texts
still prove that the rows are equal; rows whose texts differ become suspects, and are judged by value
(`verifier.canonical`). That is sound however JSON is spelled, and fast only if most equal values are spelled alike, as
those of PostgreSQL's `jsonb` and of MySQL mostly are. So a sample of both sides decides: rows that are equal by value,
and how many of them have equal digests.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from verifier.canonical import differing_columns
from verifier.compare import Comparison, using
from verifier.errors import Forbidden, Permanent
from verifier.keyrange import KeyRange
from verifier.ports import Replica
from verifier.scheme import Choice
from verifier.table import Key, Scheme, Table, Verbatim
from verifier.weight import Batch

SMALL_ROWS = 1000
"""A table with fewer rows is read whole in no time."""
ALIKE = 0.8
"""So many of the equal rows must be spelled alike. An audit of 300,000 rows between PostgreSQL and MariaDB took 2 s
with all spelled alike, 7 s with a fifth of them spelled otherwise, and 9 s by reading every row; while the leader is
written to, suspects are dearer."""
_ROWS_EACH = 64
_STRIDES = (200, 3_000, 50_000, 100_000)
"""Rows from one place of the sample to the next: an index walk of a few milliseconds each."""
_EQUAL_MIN = 50


@dataclass(frozen=True, slots=True)
class Spelling:
    """Of the rows of a sample, how many were equal by value, and how many of those in their digests, too."""

    equal: int
    alike: int

    def __str__(self) -> str:
        return f"{self.alike} of {self.equal} equal rows of a sample spell it alike"

    @property
    def enough(self) -> bool:
        return self.equal >= _EQUAL_MIN and self.alike >= ALIKE * self.equal


def by_spelling(
    compared: Comparison, choice: Choice, leader: Replica, follower: Replica, where: str | None = None
) -> tuple[Comparison, Choice]:
    """The comparison by the scheme that was chosen, or by a cheaper one where a sample shows that JSON is spelled
    alike. Temporary and Forbidden as from any question; a sample that fails for another reason only tells why."""
    plainly = using(compared, choice.scheme, where)
    if not choice.json_alone or not compared.addressable:
        return plainly, choice
    names = ", ".join(choice.json_alone)
    best = Spelling(0, 0)
    for text in Verbatim:
        as_text = using(compared, Scheme.CANONICAL, where, verbatim=dict.fromkeys(choice.json_alone, text))
        try:
            found = spelling(as_text, leader, follower)
        except Forbidden:
            raise
        except Permanent as problem:
            return plainly, Choice(choice.scheme, f"{choice.why}; as text it could not be hashed: {problem}")
        if found is None:
            told = f"fewer than {SMALL_ROWS} rows, which are read whole"
            return plainly, Choice(choice.scheme, f"{choice.why}; {told}")
        if found.enough:
            told = f"json as text ({names}): {found}; rows that do not are compared by value"
            return as_text, Choice(Scheme.CANONICAL, f"{choice.common}; {told}")
        best = max(best, found, key=lambda one: (one.alike, one.equal))
    return plainly, Choice(choice.scheme, f"{choice.why}; as text it would not be cheap: {best}")


def spelling(compared: Comparison, leader: Replica, follower: Replica) -> Spelling | None:
    """What a sample of the first rows, and of some further on, shows; None of a small table."""
    if leader.boundary(compared.leader, None, SMALL_ROWS) is None:
        return None
    keys = list(_sampled(compared.leader, leader))

    def read(part: Sequence[Key]) -> Spelling:
        ours = leader.rows(compared.leader, part).value
        theirs = follower.rows(compared.follower, part).value
        both = [(ours[key], theirs[key]) for key in part if key in ours and key in theirs]
        equal = [(o, t) for o, t in both if not differing_columns(compared.leader, o.values, t.values)]
        return Spelling(len(equal), sum(o.digest == t.digest for o, t in equal))

    found = list(Batch(len(keys)).parts(keys, read))
    return Spelling(sum(one.equal for one in found), sum(one.alike for one in found))


def _sampled(table: Table, leader: Replica) -> Iterator[Key]:
    """Keys of rows that follow each other, at a few places ever further apart, so that small tables have some, too."""
    start: Key | None = None
    for stride in (*_STRIDES, None):
        end = leader.boundary(table, start, _ROWS_EACH)
        yield from leader.row_digests(table, KeyRange(start, end)).value
        start = leader.boundary(table, end, stride) if end is not None and stride is not None else None
        if start is None:
            return
