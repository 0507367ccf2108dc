"""A question that is asked before a table is read, asked again while its server is away."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from trueup.audit.tools import Tools
from verifier.errors import Temporary, Unreachable

T = TypeVar("T")

_TRIES = 3
_WAIT_MOST = 0.5


def patiently(tools: Tools, who: str, ask: Callable[[], T]) -> T:
    """The answer. A server that does not answer is waited for up to `retry_seconds`, unless it was given up before
    (`away`); what else may pass is tried three times. Then Temporary, as anything else at once."""
    since, tries = tools.clock.now(), 0
    while True:
        try:
            found = ask()
        except Temporary as problem:
            tries += 1
            gone = isinstance(problem, Unreachable)
            over = who in tools.away or tools.clock.now() - since >= tools.retry_seconds if gone else tries >= _TRIES
            if over or tools.stop():
                if gone:
                    tools.away.add(who)
                raise
            if tries == 1:
                tools.watcher.note(f"{problem}; trying again")
            tools.clock.sleep(min(max(problem.delay_seconds, 0.05), _WAIT_MOST))
        else:
            tools.away.discard(who)
            return found
