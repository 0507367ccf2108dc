"""What works and should not stay so: passwords in clear, and password files that everybody may read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from config.address import Address
from config.document import Document
from config.problem import Path as Steps
from config.problem import Problem, Severity
from config.secret import Secret
from config.settings import Settings

_SECRETS = ("sasl_password", "ssl_key_password")
_IN_CLEAR = "holds a password in clear; write 'password: env:NAME' or 'file:/path' instead"


def warnings(settings: Settings, document: Document) -> Iterator[Problem]:
    """Each with the place to change."""
    for path, address, secret in _logins(settings):
        if address is not None and address.password_in_clear:
            yield _warning(document, (*path, "url"), _IN_CLEAR)
        yield from _open(document, (*path, "password"), secret)
    for index, group in enumerate(settings.groups):
        if group.stream is not None and group.stream.kafka is not None:
            kafka = group.stream.kafka
            for name in ("connect_password", "schema_registry_password", *_SECRETS):
                yield from _open(document, ("groups", index, "stream", "kafka", name), getattr(kafka, name))
        for name in _SECRETS:
            yield from _open(document, ("groups", index, "events", name), getattr(group.events, name))


def _open(document: Document, path: Steps, secret: Secret | None) -> Iterator[Problem]:
    if secret is not None and _open_to_all(secret):
        place = secret.reference.partition(":")[2]
        yield _warning(document, path, f"everybody on this machine can read it: chmod o-r {place}")


def _logins(settings: Settings) -> Iterator[tuple[Steps, Address | None, Secret | None]]:
    yield ("journal",), settings.journal.url, settings.journal.password
    for index, group in enumerate(settings.groups):
        at: Steps = ("groups", index)
        yield (*at, "leader"), group.leader.url, group.leader.password
        for number, follower in enumerate(group.followers):
            here: Steps = (*at, "followers", number)
            yield here, follower.url, follower.password
            if follower.repair is not None:
                yield (*here, "repair"), follower.repair.url, follower.repair.password


def _open_to_all(secret: Secret) -> bool:
    source, _, place = secret.reference.partition(":")
    if source != "file":
        return False
    try:
        return bool(Path(place).stat().st_mode & 0o004)
    except OSError:
        return False  # whether it is there is asked when it is used


def _warning(document: Document, path: Steps, message: str) -> Problem:
    return replace(document.problem(path, message), severity=Severity.WARNING)
