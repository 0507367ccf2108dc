"""Where the demo leaves what it made."""

from __future__ import annotations

from pathlib import Path

from verifier.errors import Misconfigured

_OURS = ("trueup.yaml", "journal.db", "journal.db-wal", "journal.db-shm", "events.jsonl", "report.html", "report.json")


def fresh(folder: Path) -> Path:
    """The folder, without what an earlier demo left in it. Misconfigured if something else lies there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        strangers = sorted(path.name for path in folder.iterdir() if path.name not in _OURS)
        if strangers:
            raise Misconfigured(f"{folder} holds {strangers[0]!r}, which is not the demo's; name another --output")
        for name in _OURS:
            (folder / name).unlink(missing_ok=True)
    except OSError as problem:
        raise Misconfigured(f"cannot use {folder}: {problem.strerror}; name another --output") from problem
    return folder.resolve()
