"""The machine's shape, and what a process and a server used."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from stack.mysql_servers import MysqlServer

from connectors.embedded import Cluster

Server: TypeAlias = Cluster | MysqlServer
_TICK = os.sysconf("SC_CLK_TCK")


def shape() -> str:
    """One sentence: processor, cores, memory, kernel, Python."""
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{os.cpu_count()} cores of {model}, {memory:.0f} GiB of memory, Linux {platform.release()}, "
        f"Python {platform.python_version()}"
    )


def load() -> str:
    """The load average of the last minute: other work on the machine shows here."""
    return f"{os.getloadavg()[0]:.1f}"


def server_cpu(server: Server) -> float:
    """CPU seconds of a server so far: the postmaster's, its ended children's, and those of its living ones. (A MariaDB
    server is one process.)"""
    pid_file = server.data / "postmaster.pid" if isinstance(server, Cluster) else server.home / "server.pid"
    postmaster = int(pid_file.read_text().split()[0])
    total = 0.0
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked
        pid, parent = int(entry.name), int(fields[1])
        own, children = sum(map(int, fields[11:13])), sum(map(int, fields[13:15]))
        if pid == postmaster:
            total += own + children
        elif parent == postmaster:
            total += own
    return total / _TICK


def process_cpu(pid: int) -> float | None:
    """CPU seconds of a process so far, without its children; None if it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return sum(map(int, fields[11:13])) / _TICK


@dataclass(slots=True)
class Used:
    """Wall clock, the process's own CPU seconds and peak memory, and the servers' CPU seconds."""

    seconds: float = 0.0
    cpu: float = 0.0
    servers: float = 0.0
    peak_mib: float = 0.0
    code: int = 0
    output: str = ""


@contextmanager
def measured(servers: Sequence[Server]) -> Iterator[Used]:
    """Fills `seconds` and `servers` when the block ends."""
    used = Used()
    before = sum(map(server_cpu, servers))
    began = time.monotonic()
    yield used
    used.seconds = time.monotonic() - began
    time.sleep(0.2)  # backends end a moment after their clients
    used.servers = sum(map(server_cpu, servers)) - before


def run(command: Sequence[str], servers: Sequence[Server], folder: Path) -> Used:
    """A whole process from start to end. Its output goes to a file, as it would go to a pipe."""
    output, result = folder / "output.txt", folder / "used.json"
    launch = [sys.executable, "-S", str(Path(__file__).with_name("launch.py")), str(result), str(output), *command]
    with measured(servers) as used:
        subprocess.run(launch, cwd=folder, env=_environment(folder), check=True)
    for name, value in json.loads(result.read_text()).items():
        setattr(used, name, value)
    used.output = output.read_text()
    return used


def _environment(folder: Path) -> dict[str, str]:
    """As a user would have it: compiled modules are kept, here beside the output."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return kept | {"PYTHONPYCACHEPREFIX": str(folder / "compiled")}


@dataclass(slots=True)
class Series:
    """Repeated measurements of one thing."""

    name: str
    runs: list[Used] = field(default_factory=list)

    def median(self, what: str) -> float:
        found: list[float] = sorted(getattr(run, what) for run in self.runs)
        middle = len(found) // 2
        return found[middle] if len(found) % 2 else (found[middle - 1] + found[middle]) / 2

    def span(self) -> str:
        found = [run.seconds for run in self.runs]
        return f"{min(found):.1f}-{max(found):.1f}"
