"""One Java server: started, watched until ready, stopped, killed. Its pid file lets another process end it too."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

from connectors.embedded import guardian
from connectors.embedded.account import tail
from stack.cache import NotInstalled
from verifier.errors import Permanent

# Serial collector and first compiler only: half the start-up time and two thirds of the memory.
_FAST = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xms128m")
_LOGGING = """\
status=error
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d %p %c{2} %m%n
rootLogger.level=info
rootLogger.appenderRef.out.ref=out
"""


@cache
def java() -> str:
    """The java program, from JAVA_HOME or the path; 17 or later."""
    home = os.environ.get("JAVA_HOME")
    program = shutil.which("java", path=f"{home}/bin" if home else None)
    install = "apt-get install openjdk-17-jre-headless"
    if program is None:
        raise NotInstalled(f"no java found; do: {install}")
    said = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=60, check=False).stderr
    quoted = said.partition('"')[2].partition('"')[0]
    if not quoted.split(".")[0].isdigit() or int(quoted.split(".")[0]) < 17:
        raise NotInstalled(f"java 17 or later is needed, {program} is {quoted or 'of unknown version'}; do: {install}")
    return program


class JavaServer:
    """`main_class` run with `arguments` in the folder `home`; log and pid file lie there."""

    def __init__(
        self,
        home: Path,
        libs: Path,
        main_class: str,
        arguments: Sequence[str | Path],
        *,
        heap: str = "512m",
        properties: Mapping[str, object] | None = None,
    ) -> None:
        self.home = home
        self.log = home / "server.log"
        self.pid_file = home / "java.pid"
        self._process: subprocess.Popen[bytes] | None = None
        defined = [f"-D{name}={value}" for name, value in (properties or {}).items()]
        options = [*_FAST, f"-Xmx{heap}", *defined, *self.options(libs)]
        self._command = [java(), *options, main_class, *map(str, arguments)]

    def options(self, libs: Path) -> list[str]:
        """Class path, logging, and the folder by which a process is recognised as this server."""
        self.home.mkdir(parents=True, exist_ok=True)
        logging = self.home / "log4j2.properties"
        logging.write_text(_LOGGING)
        return [f"-Dtrueup.home={self.home}", f"-Dlog4j2.configurationFile={logging}", "-cp", f"{libs}/*"]

    def start(self) -> None:
        """Start without waiting. Output goes to the log; Ctrl-C at the terminal does not reach it."""
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command,
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.pid_file.write_text(f"{self._process.pid}\n")

    def wait(self, ready: Callable[[], bool], seconds: float = 180.0) -> None:
        """Wait until `ready()`; raises `Permanent` with the end of the log when it ends before or takes too long."""
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.is_running():
                raise Permanent(f"{self.home.name} ended while starting: {self._errors()} | {tail(self.log)}")
            if time.monotonic() > deadline:
                raise Permanent(f"{self.home.name} was not ready after {seconds:g} s: {tail(self.log)}")
            time.sleep(0.1)

    def _errors(self) -> str:
        """The first of what it called an error: the end of the log tells no more than how it shut down."""
        lines = self.log.read_text(errors="replace").splitlines()
        return " | ".join(line for line in lines if " ERROR " in line or " FATAL " in line or "Caused by" in line)[
            :2000
        ]

    def is_running(self) -> bool:
        if self._process is not None:
            return self._process.poll() is None
        pid = guardian.running(self.pid_file)
        return pid is not None and guardian.alive(pid)

    def stop(self, seconds: float = 30.0) -> None:
        """End it in order (SIGTERM), by force after `seconds`."""
        self._end(signal.SIGTERM, seconds)

    def kill(self) -> None:
        """kill -9; returns when it is gone."""
        self._end(signal.SIGKILL, 10.0)

    def _end(self, number: signal.Signals, seconds: float) -> None:
        # Of a child the pid is known for sure; its arguments appear in /proc a moment after it started.
        pid = self._process.pid if self._process is not None else guardian.running(self.pid_file)
        if pid is None or not self.is_running():
            return
        guardian.send(pid, number)
        deadline = time.monotonic() + seconds
        while self.is_running():
            if time.monotonic() > deadline:
                guardian.send(pid, signal.SIGKILL)
            time.sleep(0.02)
        self.pid_file.unlink(missing_ok=True)
        self._process = None
