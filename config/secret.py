"""A password that is not in the configuration: `env:NAME` or `file:/path`, looked up when it is used.

Looking up late means that `config check` and `config show` run on a machine that has no secrets, and that a rotated
file is seen at the next connection. `repr` and `str` never show the value, because they never hold it.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, ValidationInfo, WithJsonSchema

from verifier.errors import Misconfigured

_SECRET = re.compile(r"password|passphrase|secret|sasl\.jaas|\.key$|credential|token", re.IGNORECASE)


def is_secret(name: str) -> bool:
    """Whether a setting of Kafka Connect's that is called so holds a secret."""
    return _SECRET.search(name) is not None


@dataclass(frozen=True, slots=True)
class Secret:
    """`reference` is `env:NAME` or `file:/path` and may be printed; what it refers to may not."""

    reference: str

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def reveal(self) -> str:
        """The secret itself, read now; one newline at the end of a file is not part of it. Misconfigured if there is
        none, or if it is empty: a server must never be asked without the password that somebody meant to give."""
        source, _, place = self.reference.partition(":")
        if source == "env":
            value = os.environ.get(place)
            if value is None:
                raise Misconfigured(f"environment variable {place!r} is not set; a password refers to it: set it")
            return _given(value, f"environment variable {place!r}")
        try:
            text = Path(place).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not UTF-8 text"
            raise Misconfigured(f"secret file {place!r} cannot be read: {reason}; a password refers to it") from error
        return _given(text.removesuffix("\n").removesuffix("\r"), f"secret file {place!r}")


def _given(value: str, where: str) -> str:
    if not value:
        raise Misconfigured(f"{where} is empty; a password refers to it")
    return value


def _secret(value: object, info: ValidationInfo) -> Secret:
    # The message must not repeat the value: it may be the password itself.
    if isinstance(value, Secret):
        return value
    source, _, place = value.partition(":") if isinstance(value, str) else ("", "", "")
    if source not in ("env", "file") or not place:
        raise ValueError("a password is given by reference: 'env:NAME' or 'file:/path', never in clear")
    if source == "file":
        place = str((info.context or {}).get("folder", Path()) / Path(place).expanduser())
    return Secret(f"{source}:{place}")


def referred(value: str, info: ValidationInfo) -> str:
    """The reference itself, a file's place relative to the configuration's folder. ValueError if it is none."""
    return _secret(value, info).reference


Password = Annotated[
    Secret,
    BeforeValidator(_secret),
    PlainSerializer(lambda secret: secret.reference, return_type=str),
    WithJsonSchema({"type": "string", "pattern": "^(env|file):.+$", "examples": ["env:SHOP_PASSWORD"]}),
]
