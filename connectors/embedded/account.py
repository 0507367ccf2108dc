"""Who runs the servers: PostgreSQL refuses root, so root lends the work to an account that may do nothing else."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from verifier.errors import Misconfigured, Permanent

# The server looks its own user up in the password file, so a bare number would not do.
_LENT_TO = ("nobody", "postgres")


@dataclass(frozen=True, slots=True)
class Account:
    """The user that owns and runs servers. `uid` is None when that is simply the present user."""

    uid: int | None
    gid: int | None

    @classmethod
    def present(cls) -> Account:
        """The present user, or an unprivileged one when we are root."""
        if os.geteuid() != 0:
            return cls(None, None)
        for name in _LENT_TO:
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                continue
            return cls(entry.pw_uid, entry.pw_gid)
        raise Misconfigured(
            f"postgresql cannot run as root and none of the accounts {', '.join(_LENT_TO)} exists; "
            "run as an ordinary user"
        )

    def own(self, path: Path) -> None:
        """Give `path` (not what is below it) to the account."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)

    def run(
        self, command: Sequence[str | Path], *, cwd: Path, log: Path, timeout: float = 60.0, check: bool = True
    ) -> subprocess.CompletedProcess[bytes]:
        """Run one of the server's tools. Output is appended to the file `log`, never to a pipe: a server started
        by the tool would keep the pipe open and the call would never return. `timeout` in seconds.

        Raises `Permanent` with the end of the output when the tool fails and `check` holds.
        """
        words = [str(word) for word in command]
        start = log.stat().st_size if log.exists() else 0
        with log.open("ab") as output:
            try:
                done = subprocess.run(
                    words,
                    cwd=cwd,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    timeout=timeout,
                    env=_environment(cwd),
                    check=False,
                    user=self.uid,
                    group=self.gid,
                    extra_groups=self._other_groups(),
                )
            except (OSError, subprocess.TimeoutExpired) as error:
                raise Permanent(f"{Path(words[0]).name} could not be run: {error}; log: {log}") from error
        if check and done.returncode != 0:
            raise Permanent(f"{Path(words[0]).name} failed with code {done.returncode}: {tail(log, start)}")
        return done

    def can_execute(self, program: Path, cwd: Path) -> bool:
        """Whether the account reaches and starts `program`: tried, since every folder on the way may forbid it."""
        try:
            done = subprocess.run(
                [str(program), "--version"],
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=30,
                env=_environment(cwd),
                check=False,
                user=self.uid,
                group=self.gid,
                extra_groups=self._other_groups(),
            )
        except (OSError, subprocess.TimeoutExpired):
            return False
        return done.returncode == 0

    def _other_groups(self) -> list[int] | None:
        return None if self.uid is None else []


def tail(log: Path, start: int = 0, limit: int = 2000) -> str:
    """The last `limit` bytes that a log file got since offset `start`, on one line."""
    with log.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(start, file.tell() - limit))
        return " | ".join(file.read().decode("utf-8", "replace").split("\n")).strip(" |")


def _environment(home: Path) -> dict[str, str]:
    # PGDATA, PGPORT, PGOPTIONS and the like of the present user would bend initdb and pg_basebackup.
    return {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(home), "LC_ALL": "C"}
