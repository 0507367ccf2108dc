"""The changes that led to a drift, as JSON text in the journal. Values are kept as those of the drift itself are."""

from __future__ import annotations

import json

from verifier.change import Operation
from verifier.position import parse
from verifier.trace import Recalled, Traced


def history_text(recalled: Recalled) -> str:
    """What `history_of` reads back."""
    changes = [
        [
            one.commit.text(),
            one.operation.value,
            None if one.after is None else dict(one.after),
            one.committed_at,
            one.transaction,
        ]
        for one in recalled.changes
    ]
    since = None if recalled.since is None else recalled.since.text()
    return json.dumps({"since": since, "changes": changes}, separators=(",", ":"))


def history_of(text: str) -> Recalled:
    """The changes that `history_text` wrote."""
    told = json.loads(text)
    changes = tuple(
        Traced(parse(commit), Operation(operation), after, None, committed_at, None, transaction)
        for commit, operation, after, committed_at, transaction in told["changes"]
    )
    return Recalled(changes, None if told["since"] is None else parse(told["since"]))
