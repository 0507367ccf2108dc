"""Addresses of databases: URLs whose password is hidden wherever they are printed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from pydantic import BeforeValidator, PlainSerializer, ValidationInfo, WithJsonSchema

from config.problem import nearest
from config.secret import Secret

SCHEMES = ("postgresql", "mysql", "mariadb", "sqlite")


@dataclass(frozen=True, slots=True, repr=False)
class Address:
    """A database URL. `str` and `repr` hide the password; `url` gives it to whoever connects."""

    text: str

    def __str__(self) -> str:
        parts = urlsplit(self.text)
        if parts.password is None:
            return self.text
        return urlunsplit(parts._replace(netloc=parts.netloc.replace(f":{_raw_password(parts.netloc)}@", ":***@")))

    def __repr__(self) -> str:
        return f"Address({str(self)!r})"

    @property
    def password_in_clear(self) -> bool:
        return urlsplit(self.text).password is not None

    def url(self, password: Secret | None = None, user: str | None = None) -> str:
        """The URL to connect with: the secret, revealed now, replaces what the URL holds."""
        parts = urlsplit(self.text)
        if password is None and user is None:
            return self.text
        name = user if user is not None else unquote(parts.username or "")
        word = password.reveal() if password is not None else unquote(parts.password or "")
        login = quote(name, safe="") + (f":{quote(word, safe='')}" if word else "")
        place = parts.netloc.rpartition("@")[2]
        return urlunsplit(parts._replace(netloc=f"{login}@{place}" if login else place))


def _raw_password(netloc: str) -> str:
    return netloc.rpartition("@")[0].partition(":")[2]


def _address(value: object) -> Address:
    # No message repeats the whole URL: it may hold a password.
    if isinstance(value, Address):
        return value
    if not isinstance(value, str):
        raise ValueError("an address is a URL such as 'postgresql://user@host:5432/database'")
    scheme, colon, rest = value.partition("://")
    if not colon:
        raise ValueError("an address is a URL such as 'postgresql://user@host:5432/database'; this has no '://'")
    engine = scheme.partition("+")[0]
    if engine not in SCHEMES:
        raise ValueError(f"unknown engine {engine!r}{nearest(engine, SCHEMES)}")
    try:
        port = urlsplit(value).port
    except ValueError as error:
        raise ValueError("the port is not a number between 0 and 65535, or the password needs %-quoting") from error
    if port == 0 or (engine == "postgresql" and not rest):
        raise ValueError("the address names no server")
    return Address(value)


def _journal(value: object, info: ValidationInfo) -> Address:
    """A path becomes a SQLite URL, relative to the folder of the configuration file."""
    if isinstance(value, str) and "://" not in value:
        if not value:
            raise ValueError("the journal's path is empty")
        folder = (info.context or {}).get("folder", Path())
        return Address("sqlite:///" + str((folder / Path(value).expanduser()).absolute()))
    return _address(value)


_url_schema = {"type": "string", "examples": ["postgresql://trueup@127.0.0.1:5432/shop"]}
DatabaseAddress = Annotated[
    Address, BeforeValidator(_address), PlainSerializer(str, return_type=str), WithJsonSchema(_url_schema)
]
JournalAddress = Annotated[
    Address,
    BeforeValidator(_journal),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["trueup.db", "postgresql://trueup@127.0.0.1:5432/trueup"]}),
]
