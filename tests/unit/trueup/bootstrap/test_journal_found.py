"""Questions find the journal that an audit without a configuration left behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.journal.opening import open_journal
from trueup.bootstrap.journal import AUDIT_GROUP, AUDIT_JOURNAL, opened, opened_masked
from verifier.errors import Misconfigured
from verifier.journal import Run


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where nobody has configured anything."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("TRUEUP_CONFIG", raising=False)
    return tmp_path


def test_without_a_configuration_it_is_the_one_of_this_folder() -> None:
    journal = open_journal(AUDIT_JOURNAL, AUDIT_GROUP)
    journal.runs.begin(Run("r1", "audit", 1.0, "{}"))
    journal.close()
    with opened(None, None, None) as found:
        assert [run.id for run in found.runs.recent(5)] == ["r1"]


def test_without_either_it_says_that_there_is_no_configuration() -> None:
    with pytest.raises(Misconfigured, match="no configuration file found"), opened(None, None, None):
        pass


def test_a_configuration_goes_before_it(folder: Path) -> None:
    open_journal(AUDIT_JOURNAL, AUDIT_GROUP).close()
    (folder / "trueup.yaml").write_text("instance: x\n")
    with pytest.raises(Misconfigured, match=r"trueup\.yaml"), opened(None, None, None):
        pass


def test_beside_a_named_journal_a_configuration_is_read_only_for_its_masks(folder: Path) -> None:
    open_journal(AUDIT_JOURNAL, AUDIT_GROUP).close()
    (folder / "trueup.yaml").write_text("instance: x\n")
    with opened_masked(None, None, AUDIT_JOURNAL) as (found, masking):
        assert list(found.runs.recent(5)) == []
        with pytest.raises(Misconfigured, match=r"trueup\.yaml"):
            masking()
