"""A schema registry that speaks Confluent's REST interface (Apicurio's: below `/apis/ccompat/v7`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar
from urllib.parse import urlsplit

import httpx2
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError

from connectors.debezium.avro import Unregistered
from verifier.errors import Forbidden, Misconfigured, Temporary, Unreachable

T = TypeVar("T")
_TIMEOUT_SECONDS = 10.0
_REFUSED = (401, 403)
_NO_SCHEMA = 40403
"""Both registries' word for it; 404 alone may come from whatever else answers at that place."""


class SchemaRegistry:
    """A `Registry`. `user` and `password` for basic authentication; they stand nowhere else, also not in messages."""

    def __init__(self, url: str, user: str | None = None, password: str | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
            raise Misconfigured(
                "the schema registry's URL must be http:// or https://, without user and password in it"
            )
        self._where = f"schema registry at {url}"
        settings = {"url": url, "timeout": _TIMEOUT_SECONDS, "max.retries": 0}
        if user is not None:
            settings["basic.auth.user.info"] = f"{user}:{password or ''}"
        self._client = SchemaRegistryClient(settings)
        self._forget: Callable[[], object] = self._client.clear_caches

    def schema(self, number: int) -> str:
        """See `Registry`. Forbidden if it refuses us; Misconfigured if the schema is not one of Avro."""
        self._forget()  # whoever asks wants to know what the registry says now
        found = self._asked(lambda: self._client.get_schema(number), f"give schema {number}")
        if found.schema_type not in (None, "AVRO") or found.schema_str is None or found.references:
            raise Misconfigured(f"schema {number} of the {self._where} is not plain Avro: set an Avro converter")
        return str(found.schema_str)

    def has(self, prefix: str) -> bool:
        """See `Registry`. Subjects are named after their topics, as converters do unless told otherwise."""
        subjects = self._asked(self._client.get_subjects, "tell its subjects")
        return any(subject.startswith(prefix) for subject in subjects)

    def _asked(self, ask: Callable[[], T], what: str) -> T:
        try:
            return ask()
        except SchemaRegistryError as error:
            if error.http_status_code in _REFUSED:
                raise Forbidden(
                    f"{self._where} refuses us (HTTP {error.http_status_code}): check its user and password"
                ) from error
            kind = Unregistered if error.error_code == _NO_SCHEMA else Temporary
            raise kind(
                f"{self._where} does not {what} (HTTP {error.http_status_code}, code {error.error_code}): is it the "
                "registry that the connector's converters use?"
            ) from error
        except httpx2.HTTPError as error:
            raise Unreachable(f"{self._where} does not answer: {type(error).__name__}") from error
        except ValueError as error:
            raise Temporary(f"{self._where} gives no JSON: is it a schema registry?") from error

    def close(self) -> None:
        """Let go of the connections that were kept for the next question."""
        self._client.close()
