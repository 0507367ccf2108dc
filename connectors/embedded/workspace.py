"""One directory in which embedded servers live, and the promise that nothing of it stays."""

from __future__ import annotations

import atexit
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import TracebackType

from connectors.embedded import guardian
from connectors.embedded.account import Account
from connectors.embedded.binaries import Binaries


class Workspace:
    """A new temporary directory owned by the account that runs servers. A context manager.

    `close()` stops every server below it and removes it; so do the end of the interpreter and, through the guardian
    process, any sudden death of this one. `keep` leaves directory and servers alone (a stack that outlives its
    starter).
    """

    def __init__(self, path: Path | None = None, *, keep: bool = False) -> None:
        self.account = Account.present()
        self.keep = keep
        if path is None:
            self.path = Path(tempfile.mkdtemp(prefix="trueup-")).resolve()
        else:
            path.mkdir(parents=True, exist_ok=True)
            self.path = path.resolve()
        self.account.own(self.path)
        self._reached: dict[Path, Binaries] = {}
        self._lock = threading.Lock()
        if not keep:
            _Guardian.watch(self.path)
            atexit.register(self.close)

    def __enter__(self) -> Workspace:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def reach(self, binaries: Binaries) -> Binaries:
        """`binaries` as the account can run them: themselves or a copy in this directory."""
        with self._lock:
            if binaries.bin not in self._reached:
                self._reached[binaries.bin] = binaries.reachable(self.account, self.path)
            return self._reached[binaries.bin]

    def close(self) -> None:
        """Stop every server and remove the directory; again is harmless."""
        if self.keep:
            return
        atexit.unregister(self.close)
        if self.path.exists():
            guardian.stop_servers(self.path)
            guardian.remove(self.path)
        _Guardian.forget(self.path)


class _Guardian:
    """The one guardian process of this process, started when the first workspace is made."""

    _lock = threading.Lock()
    _process: subprocess.Popen[str] | None = None

    @classmethod
    def watch(cls, path: Path) -> None:
        cls._tell(f"watch {path}")

    @classmethod
    def forget(cls, path: Path) -> None:
        cls._tell(f"forget {path}")

    @classmethod
    def _tell(cls, line: str) -> None:
        with cls._lock:
            if cls._process is None or cls._process.poll() is not None:
                cls._process = subprocess.Popen(
                    [sys.executable, "-I", "-S", guardian.__file__],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    text=True,
                    start_new_session=True,
                    cwd="/",
                )
                atexit.register(cls._dismiss)
            assert cls._process.stdin is not None
            cls._process.stdin.write(line + "\n")
            cls._process.stdin.flush()

    @classmethod
    def _dismiss(cls) -> None:
        with cls._lock:
            if cls._process is not None and cls._process.stdin is not None:
                cls._process.stdin.close()
                cls._process.wait(timeout=30)
            cls._process = None
