"""A fault of trueup itself that meets one table: that table is `unverified`, and the audit goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from trueup.audit.progress import Watcher
from trueup.logs import calls
from verifier.errors import Permanent, TrueupError
from verifier.table import TableName


class Fault(Permanent):
    """An exception that nobody foresaw: the table cannot be verified by this version of trueup."""


@contextmanager
def contained(watcher: Watcher, table: TableName) -> Iterator[None]:
    """Whatever is raised inside that is no error of trueup's own is told to `watcher`, by its calls and never by its
    words, which may quote a row, and becomes a Fault."""
    try:
        yield
    except TrueupError:
        raise
    except Exception as problem:
        reason = f"{type(problem).__name__}, a fault of trueup: please report the calls that were printed"
        watcher.note(f"{table}: {reason}")
        for line in calls(problem).splitlines():
            watcher.note(line)
        raise Fault(reason) from problem
