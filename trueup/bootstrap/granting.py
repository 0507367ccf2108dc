"""What a first configuration needs of each server: its tables by default, and the rights, in the server's own SQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from urllib.parse import SplitResult, unquote, urlsplit

from connectors.mysql.rights import rights as mysql_rights
from connectors.mysql.rights import tables_of
from connectors.postgres.rights import rights as postgres_rights
from connectors.rights import Login, schemas_of

_USER = "trueup"
"""Who logs in where the URL names nobody."""


def default_tables(leader: str) -> str:
    """The pattern that means the application's tables of that URL's database."""
    parts = urlsplit(leader)
    spelled = _TABLES.get(_engine(parts))
    return "*" if spelled is None else spelled(_database(parts))


def reads_as(url: str) -> str:
    """The login that trueup reads there with."""
    return unquote(urlsplit(url).username or "") or _USER


def granted(
    leader: str,
    followers: Mapping[str, str],
    tables: Sequence[str],
    *,
    decodes: bool = False,
    repair_user: str | None = None,
) -> str:
    """SQL to review and to run on each server as an administrator; what is not SQL is a comment of it.

    `decodes`: the change stream is read from the leader itself. `repair_user` writes repairs to followers.
    """
    lines = ["-- leader", *_of(leader, tables, leader=True, decodes=decodes)]
    for name, url in followers.items():
        lines += ["", f"-- follower {name}", *_of(url, tables)]
        if repair_user is not None:
            lines += _of(url, tables, user=repair_user, writes=True)
    return "\n".join(lines)


def _of(
    url: str,
    tables: Sequence[str],
    *,
    user: str = "",
    leader: bool = False,
    decodes: bool = False,
    writes: bool = False,
) -> list[str]:
    parts = urlsplit(url)
    name = user or reads_as(url)
    spelled = _RIGHTS.get(_engine(parts), _unknown)
    return spelled(Login(name, _database(parts), schemas_of(tables), leader, decodes, writes))


def _engine(parts: SplitResult) -> str:
    return parts.scheme.partition("+")[0].lower()


def _database(parts: SplitResult) -> str:
    return unquote(parts.path.removeprefix("/"))


def _file(login: Login) -> list[str]:
    return [] if login.writes else [f"-- a file: whoever runs trueup needs the right to read {login.database}"]


def _unknown(login: Login) -> list[str]:
    return [f"-- trueup does not know this engine's rights: {login.user!r} must be able to read the tables"]


_RIGHTS: Mapping[str, Callable[[Login], list[str]]] = {
    "postgresql": postgres_rights,
    "postgres": postgres_rights,
    "mysql": lambda login: mysql_rights(login, mariadb=False),
    "mariadb": lambda login: mysql_rights(login, mariadb=True),
    "sqlite": _file,
}
_TABLES: Mapping[str, Callable[[str], str]] = {
    "postgresql": lambda database: "public.*",
    "postgres": lambda database: "public.*",
    "mysql": tables_of,
    "mariadb": tables_of,
}
