"""Both sides of a row as they were when its drift was found, from the finding and from what can be read now.

A finding keeps excerpts of long values, and masks of what is not to be told (`verifier.excerpt`). The follower's whole
value is in its row as long as that is the one that was found; the leader's is in the log, where one of its changes told
it.
"""

from __future__ import annotations

from verifier.canonical import differing_columns
from verifier.compare import Comparison
from verifier.drift import Drift, Kind
from verifier.excerpt import Hide, characters_kept, kept
from verifier.look import Row
from verifier.table import Value
from verifier.trace import Recalled, Rows


def rows_found(
    drift: Drift, compared: Comparison, row: Row | None, recalled: Recalled, hide: Hide | None = None
) -> Rows | None:
    """Both sides; None if the follower's `row` is another by now. A long or hidden value of the leader that no change
    in `recalled` told stays an excerpt or a mask, which equals no value. `hide`: as for the finding."""
    most = characters_kept(len(drift.columns))
    ours = {name: _whole(name, both.leader, recalled, most, hide) for name, both in drift.columns.items()}
    if drift.kind is Kind.MISSING:
        return Rows(ours, None)
    theirs = {name: kept(name, both.follower, most, hide) for name, both in drift.columns.items()}
    if row is None:
        return None
    now = {name: kept(name, row.values.get(name), most, hide) for name in theirs}
    if any(name in theirs for name in differing_columns(compared.leader, theirs, now)):
        return None
    if drift.kind is Kind.EXTRA:
        return Rows(None, row.values)
    return Rows({**row.values, **ours}, row.values)


def _whole(name: str, found: Value, recalled: Recalled, most: int, hide: Hide | None) -> Value:
    whole = hide is None or hide(name, "") == ""  # an empty text is told, or has a mask
    if found is None or (whole and len(found) < most):
        return found
    sought = kept(name, found, most, hide)
    told = (change.after[name] for change in reversed(recalled.changes) if change.after and name in change.after)
    return next((value for value in told if kept(name, value, most, hide) == sought), found)
