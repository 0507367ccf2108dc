"""Environment variables over the file, for what differs per machine: `TRUEUP_HTTP__LISTEN`, `TRUEUP_LOG__LEVEL`.

Only the scalars outside of `groups` can be set so: lists have no sensible spelling as variables.
"""

from __future__ import annotations

from pydantic import BaseModel
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from config.problem import Path
from config.settings import Settings


class _Http(BaseModel):
    listen: str | None = None


class _Log(BaseModel):
    level: str | None = None
    format: str | None = None


class Variables(BaseSettings):
    """What may be overridden, all as text: the real models judge the values."""

    model_config = SettingsConfigDict(env_prefix="TRUEUP_", env_nested_delimiter="__", extra="ignore")
    instance: str | None = None
    journal: str | None = None
    http: _Http | None = None
    log: _Log | None = None


def overlay(document: object) -> dict[Path, str]:
    """Set in `document` what the environment says; returns which variable stands behind which path."""
    sources: dict[Path, str] = {}
    if not isinstance(document, dict):
        return sources
    found = EnvSettingsSource(Variables)()
    for key, value in found.items():
        if key not in Settings.model_fields:
            continue
        if not isinstance(value, dict):
            document[key] = value
            sources[(key,)] = f"TRUEUP_{key.upper()}"
            continue
        inner = document.setdefault(key, {})
        for name, text in value.items():
            if isinstance(inner, dict):
                inner[name] = text
                sources[(key, name)] = f"TRUEUP_{key.upper()}__{name.upper()}"
    return sources
