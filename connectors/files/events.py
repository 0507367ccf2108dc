"""Events as JSON lines: one structured CloudEvent per line, appended and on the disk before it counts as sent.

Delivery is at least once: killed between the write and the outbox's note, the same events are appended again, with the
same ids. A line is never half written for a reader that waits for the newline; a half line that a crash left at the
end is closed with a newline first, so that it cannot swallow the next event.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from reconciler.ports import Event
from verifier.errors import Forbidden, Misconfigured, Temporary

MODE = 0o600
"""Events carry row values: the file is its owner's alone."""


class JsonLinesSink:
    """`reconciler.ports.EventSink` that appends to one file for each topic, `<folder>/<prefix>.<topic>.jsonl`, or to
    one file for all of them."""

    def __init__(self, target: Path, *, prefix: str = "trueup", one_file: bool = False) -> None:
        self._target, self._prefix, self._one_file = target, prefix, one_file
        self._open: dict[Path, int] = {}

    def path(self, topic: str) -> Path:
        """Where events of that topic go."""
        return self._target if self._one_file else self._target / f"{self._prefix}.{topic}.jsonl"

    def send(self, events: Sequence[Event]) -> Sequence[str]:
        """Append all; returns all ids once the disk has them. Temporary if the disk is full or fails (then some lines
        may have been written and will come again), Forbidden if the file may not be written."""
        lines: dict[Path, list[bytes]] = {}
        for event in events:
            lines.setdefault(self.path(event.topic), []).append(_line(event.body))
        for path, added in lines.items():
            try:
                descriptor = self._descriptor(path)
                _write(descriptor, b"".join(added))
                os.fsync(descriptor)
            except OSError as error:
                self._forget(path)
                raise _told(path, error) from error
        return [event.id for event in events]

    def close(self) -> None:
        for path in list(self._open):
            self._forget(path)

    def _descriptor(self, path: Path) -> int:
        if path not in self._open:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, MODE)
            self._open[path] = descriptor
            size = os.fstat(descriptor).st_size
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                _write(descriptor, b"\n")
        return self._open[path]

    def _forget(self, path: Path) -> None:
        descriptor = self._open.pop(path, None)
        if descriptor is not None:
            os.close(descriptor)


def _write(descriptor: int, data: bytes) -> None:
    """All of it: the system may take less at once, when the disk is nearly full."""
    while data:
        data = data[os.write(descriptor, data) :]


def _line(body: Mapping[str, object]) -> bytes:
    # ASCII only: no character in a value can be taken for the end of a line.
    return json.dumps(body, separators=(",", ":")).encode("ascii") + b"\n"


def _told(path: Path, error: OSError) -> Temporary | Forbidden | Misconfigured:
    if isinstance(error, PermissionError):
        return Forbidden(
            f"cannot write events to {path}: permission denied; give trueup's user the right to write there"
        )
    if isinstance(error, IsADirectoryError | NotADirectoryError | FileExistsError):
        return Misconfigured(f"cannot write events to {path}: {error.strerror}; name another place for them")
    return Temporary(f"cannot write events to {path}: {error.strerror}; free or check the disk, it is tried again")
