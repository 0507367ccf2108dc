"""Two processes may make the same journal at the same moment."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_OPEN = "import sys; from connectors.journal.opening import open_journal; open_journal(sys.argv[1], 'shop').close()"


def test_a_new_journal_is_made_once_by_several_at_once(tmp_path: Path) -> None:
    for turn in range(3):
        path = tmp_path / f"journal{turn}.db"
        opening = [subprocess.Popen([sys.executable, "-c", _OPEN, str(path)], stderr=subprocess.PIPE) for _ in range(4)]
        said = [one.communicate(timeout=60)[1].decode() for one in opening]
        assert [one.returncode for one in opening] == [0, 0, 0, 0], said
