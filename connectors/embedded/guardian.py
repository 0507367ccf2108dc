"""The guardian: a tiny process that outlives its parent just long enough to stop what the parent left running.

It holds the reading end of a pipe. Lines `watch DIR` and `forget DIR` name workspaces; the end of the pipe means that
the parent is gone, by whatever signal, and every server in a watched workspace is stopped and the workspace removed.
Run by path with the standard library only, in a session of its own, so that Ctrl-C does not reach it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import time
from pathlib import Path

_PATIENCE_SECONDS = 10.0


def stop_servers(workspace: Path, patience: float = _PATIENCE_SECONDS) -> None:
    """Stop every server that left a pid file in a folder of `workspace`, immediately; kill what stays."""
    pids = []
    for pid_file in workspace.glob("*/*.pid"):
        pid = running(pid_file)
        if pid is not None:
            # PostgreSQL takes SIGQUIT as "stop now, recover later"; others have nothing of that kind.
            send(pid, signal.SIGQUIT if pid_file.name == "postmaster.pid" else signal.SIGKILL)
            pids.append(pid)
    deadline = time.monotonic() + patience
    while pids and time.monotonic() < deadline:
        pids = [pid for pid in pids if alive(pid)]
        time.sleep(0.02)
    for pid in pids:
        send(pid, signal.SIGKILL)


def remove(workspace: Path) -> None:
    """Remove a workspace. Dying backends may still write for a moment, hence more than one try."""
    for _ in range(20):
        shutil.rmtree(workspace, ignore_errors=True)
        if not workspace.exists():
            return
        time.sleep(0.1)


def running(pid_file: Path) -> int | None:
    """The pid in the first line of a pid file, if that process is still the server of this folder."""
    try:
        pid = int(pid_file.read_text().split("\n", 1)[0])
        if Path("/proc/self").exists():
            # The number may have been given to another process since; a server names its folder in its arguments.
            return pid if os.fsencode(pid_file.parent) in Path(f"/proc/{pid}/cmdline").read_bytes() else None
    except (OSError, ValueError):
        return None
    return pid if send(pid, 0) else None


def alive(pid: int) -> bool:
    """Whether the process runs; one that is dead and not yet reaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return not Path("/proc/self").exists() and send(pid, 0)
    except OSError:
        return False
    return state[0] not in "ZX"


def send(pid: int, number: int) -> bool:
    """Signal a process; whether it existed."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    watched: set[Path] = set()
    for line in sys.stdin:
        word, _, path = line.rstrip("\n").partition(" ")
        if word == "watch":
            watched.add(Path(path))
        else:
            watched.discard(Path(path))
    for workspace in watched:
        with contextlib.suppress(OSError):
            stop_servers(workspace)
        remove(workspace)


if __name__ == "__main__":
    main()
