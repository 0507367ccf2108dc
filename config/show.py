"""Settings as text for people: what is in force, defaults included, secrets as references."""

from __future__ import annotations

from pathlib import Path

import yaml

from config.settings import Settings


def show(settings: Settings) -> str:
    """YAML that `load` reads back to the same settings, apart from passwords in clear, which are `***`."""
    return yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=120)


def example() -> str:
    """A complete configuration with comments."""
    return Path(__file__).with_name("example.yaml").read_text(encoding="utf-8")
