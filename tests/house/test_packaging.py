"""The list of packages occurs in several places, and the wheel that is built from it works elsewhere."""

from __future__ import annotations

import configparser
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from trueup.cli.main import ROOMS

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = sorted((*ROOMS, "trueup"))


def test_the_lists_of_packages_agree() -> None:
    assert sorted(PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) == PACKAGES
    assert sorted(PROJECT["tool"]["mypy"]["packages"]) == PACKAGES
    assert sorted(PROJECT["tool"]["ruff"]["lint"]["isort"]["known-first-party"]) == PACKAGES
    contracts = configparser.ConfigParser()
    contracts.read(ROOT / ".importlinter")
    assert sorted(contracts["importlinter"]["root_packages"].split()) == PACKAGES


def test_every_dependency_has_its_line_in_the_adrs() -> None:
    text = " ".join(path.read_text().lower() for path in (ROOT / "docs" / "adr").glob("*.md"))
    wanted = PROJECT["project"]["dependencies"] + [
        one for group in PROJECT["project"]["optional-dependencies"].values() for one in group
    ]
    names = {one.split("[")[0].split(">")[0].split("<")[0].split("=")[0].strip().lower() for one in wanted} - {"trueup"}
    assert sorted(name for name in names if name not in text) == []


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder, ROOT],
        check=True, capture_output=True,
    )  # fmt: skip
    return next(folder.glob("*.whl"))


def test_the_wheel_carries_its_data(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for wanted in (
        "trueup/demo/schema.sql",
        "connectors/journal/fresh_sqlite.sql",
        "trueup/schemas/audit-report.json",
        "config/trueup.schema.json",
        "config/example.yaml",
        "dashboards/grafana/overview.json",
        "dashboards/prometheus/alerts.yml",
    ):
        assert wanted in names
    assert any(name.startswith("connectors/journal/migrations/") and name.endswith(".py") for name in names)
    assert any(name.startswith("reconciler/schemas/") for name in names)
    assert not any(name.startswith("tests/") for name in names)


def test_the_wheel_works_beside_a_config_package_of_somebody_else(wheel: Path, tmp_path: Path) -> None:
    home = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(home)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "__init__.py").write_text("raise RuntimeError('not ours')\n")
    program = f"import sys; sys.path.insert(0, {str(home)!r}); from trueup.cli.main import main; main(['--version'])"
    done = subprocess.run(
        [sys.executable, "-P", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.split()[0], done.stderr) == (0, "trueup", "")


def test_a_stranger_in_one_of_our_rooms_is_named(wheel: Path, tmp_path: Path) -> None:
    home, other = tmp_path / "site", tmp_path / "other"
    zipfile.ZipFile(wheel).extractall(home)
    (other / "dashboards").mkdir(parents=True)
    (other / "dashboards" / "__init__.py").write_text("")
    program = (
        f"import sys; sys.path.insert(0, {str(home)!r}); sys.path.insert(0, {str(other)!r}); "
        "from trueup.cli.main import main; main(['--version'])"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 3
    assert f"imported 'dashboards' from {other / 'dashboards'}" in done.stderr
