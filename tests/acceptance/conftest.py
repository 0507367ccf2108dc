"""`trueup`: the program in a folder of its own, knowing the servers of the trio. Tests of other servers make theirs."""

from __future__ import annotations

from pathlib import Path

import pytest
from fixtures.audit_program import Program
from fixtures.databases import TrioDatabase


@pytest.fixture
def trueup(tmp_path: Path, trio_database: TrioDatabase) -> Program:
    trio = trio_database.trio
    return Program.knowing(tmp_path, trio.leader, trio.standby, trio.subscriber)
