"""`trueup demo` on this machine: without a terminal as whoever runs the tests, at a terminal as an ordinary user, and
interrupted. It shows and leaves what it promises, and nothing else."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from fixtures.missing import missing
from fixtures.program import PROGRAM, Done, trueup

pytestmark = [pytest.mark.postgres]

KEPT = {"trueup.yaml", "journal.db", "events.jsonl", "report.html", "report.json"}
AFTER = r"  after \d+\.\d s: "
NAMED = {
    rf"mismatched +public\.orders \(11,\){AFTER}lost update  \[proven, (visibility|bracketed)\]",
    rf"extra +public\.orders \(22,\){AFTER}lost delete  \[proven, ",
    rf"extra +public\.orders \(9000001,\){AFTER}rogue insert  \[proven, ",
    rf"mismatched +public\.items \(33, 1\){AFTER}changed column  \[proven, ",
}
PREVIEWED = {
    r"""update "public"\."orders" set .*"status" = 'refunded'.* where "id" = '11' and """,
    r"""delete from "public"\."orders" where "id" = '22' and """,
    r"""delete from "public"\."orders" where "id" = '9000001' and """,
    r"""update "public"\."items" set "quantity" = '\d+' where "order_id" = '33' and """,
}
EVENTS = {
    "drift.opened": 4,
    "drift.cleared": 4,
    "repair.proposed": 4,
    "repair.approved": 4,
    "repair.applied": 4,
    "repair.verified": 4,
    "invariant.violated": 1,
}
SECONDS = 240
"""Patience with a busy machine. The demo means to be done within a minute; what it took it tells itself."""
NOBODY = 65534


@dataclass(frozen=True)
class Place:
    """`output` is where the demo may leave something; in `temporary` nothing may stay."""

    output: Path
    temporary: Path

    @property
    def env(self) -> dict[str, str]:
        return {"TMPDIR": str(self.temporary), "HOME": str(self.output.parent)}

    def processes(self) -> list[str]:
        """Commands of processes that speak of our folders."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            except OSError:
                continue
            if str(self.temporary) in command:
                found.append(command)
        return found

    def assert_clean(self) -> None:
        deadline = time.monotonic() + 60
        while (self.processes() or any(self.temporary.iterdir())) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert self.processes() == []
        assert list(self.temporary.iterdir()) == []


@pytest.fixture
def place() -> Iterator[Place]:
    """Open to every user: root's servers run as another one."""
    home = Path(tempfile.mkdtemp(prefix="demo-test-"))
    home.chmod(0o777)
    temporary = home / "tmp"
    temporary.mkdir()
    temporary.chmod(0o1777)
    yield Place(home / "out", temporary)
    shutil.rmtree(home)


def well_ended(done: Done, place: Place) -> None:
    """It ended well, showed each act, and left the folder that it names."""
    assert done.code == 0, done
    for hop in ("trueup", "standby", "subscriber"):
        assert len(re.findall(rf"lag of {hop} +\d+\.\d\d s   (caught_up|lagging)\b", done.out)) == 1, done.out
    for pattern in NAMED:
        assert len(re.findall(pattern, done.out)) == 1, (pattern, done.out)
    assert len(re.findall(r"\[proven, ", done.out)) == len(NAMED)
    assert re.search(r"4 of 4 found, and no other row was named", done.out)
    for pattern in PREVIEWED:
        assert len(re.findall(pattern, done.out)) == 1, (pattern, done.out)
    assert re.search(r"4 repairs applied and verified", done.out)
    assert re.search(r"invariant ledger_equals_balances violated", done.out)
    assert re.search(r"verdict: match", done.out)
    told = re.search(r"all as it should be, in (\d+) s", done.out)
    assert told is not None
    assert int(told[1]) < SECONDS
    assert {path.name for path in place.output.iterdir()} == KEPT
    events = [json.loads(line)["type"] for line in (place.output / "events.jsonl").read_text().splitlines()]
    assert Counter(kind.removeprefix("io.trueup.").removesuffix(".v1") for kind in events) == EVENTS
    assert json.loads((place.output / "report.json").read_text())["verdict"] == "match"
    assert "<html" in (place.output / "report.html").read_text()
    password = re.search(r"postgres:([^@]+)@", (place.output / "trueup.yaml").read_text())
    assert password is not None
    assert password[1] not in done.out + done.err
    place.assert_clean()


def test_without_a_terminal(place: Place) -> None:
    done = trueup("demo", "--output", place.output, env=place.env, seconds=SECONDS)
    well_ended(done, place)
    assert "\x1b" not in done.out, "no colours where there is no terminal"
    assert done.err == ""


def runs(drop: list[str]) -> bool:
    """Whether that user can run this interpreter, and start it anew from within, as the demo does."""
    again = "import subprocess, sys; sys.exit(subprocess.run([sys.executable, '-c', '']).returncode)"
    done = subprocess.run([*drop, sys.executable, "-c", again], capture_output=True, check=False, cwd="/")
    return done.returncode == 0


def test_at_a_terminal_as_an_ordinary_user(place: Place) -> None:
    """Whoever is not root is that user; root steps down."""
    drop = [] if os.geteuid() else ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    if drop and not runs(drop):
        # The interpreter lies in root's own home: this user may look into it, and is ordinary in all else.
        drop += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
        if not runs(drop):
            missing("no other user can run this interpreter", "a Python outside root's home, or util-linux's setpriv")
    process, terminal = at_a_terminal(place, drop)
    shown = _until(terminal, None, SECONDS)
    code = process.wait(60)
    os.close(terminal)
    assert "\x1b[32m" in shown, "colours at a terminal"
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown).replace("\r\n", "\n")
    assert "\x1b" not in plain, "nothing else steers it"
    well_ended(Done(code, plain, ""), place)
    assert (place.output / "report.html").stat().st_uid == (os.geteuid() or NOBODY)


def at_a_terminal(place: Place, drop: Sequence[str] = ()) -> tuple[subprocess.Popen[bytes], int]:
    """The demo at a terminal of its own, and the side of it that a person sees and types at."""
    terminal, inside = pty.openpty()
    process = subprocess.Popen(
        ["setsid", "--ctty", *drop, PROGRAM, "demo", "--output", str(place.output)],
        stdin=inside,
        stdout=inside,
        stderr=inside,
        env={**os.environ, **place.env, "TERM": "xterm-256color"},
        cwd=place.output.parent,
    )
    os.close(inside)
    return process, terminal


@pytest.mark.parametrize("moment", ["starting a leader", "the daemon follows, verifies and scans"])
def test_ctrl_c_at_a_terminal_leaves_nothing_running(moment: str, place: Place) -> None:
    process, terminal = at_a_terminal(place)
    said = _until(terminal, moment, SECONDS)
    time.sleep(0.7)
    os.write(terminal, b"\x03")
    said += _until(terminal, None, 60)
    assert process.wait(60) == 130, said
    os.close(terminal)
    assert "\x1b[" in said, "colours at a terminal"
    assert "Traceback" not in said
    assert "stopped" in said
    place.assert_clean()


def _until(terminal: int, words: str | None, seconds: float) -> str:
    """What the terminal shows until these words came (None: until its end)."""
    said = b""
    deadline = time.monotonic() + seconds
    while words is None or words.encode() not in said:
        assert time.monotonic() < deadline, said.decode()
        if not select.select([terminal], [], [], 0.5)[0]:
            continue
        try:
            piece = os.read(terminal, 4096)
        except OSError:
            break
        if not piece:
            break
        said += piece
    return said.decode()


def test_sigterm_cleans_up_as_well(place: Place) -> None:
    process = subprocess.Popen(
        [PROGRAM, "demo", "--output", str(place.output)],
        env={**os.environ, **place.env},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "replicating" in line:
            break
    process.send_signal(signal.SIGTERM)
    process.stdout.read()
    process.stdout.close()
    assert process.wait(60) == 130
    place.assert_clean()


def test_a_folder_with_something_else_in_it_is_left_alone(place: Place) -> None:
    place.output.mkdir()
    (place.output / "thesis.txt").write_text("years of work")
    done = trueup("demo", "--output", place.output, env=place.env)
    assert done.code == 3
    assert f"{place.output} holds 'thesis.txt', which is not the demo's; name another --output" in done.err
    assert [path.name for path in place.output.iterdir()] == ["thesis.txt"]
    (place.output.parent / "file").touch()
    done = trueup("demo", "--output", place.output.parent / "file", env=place.env)
    assert (done.code, "name another --output" in done.err) == (3, True)
    place.assert_clean()
