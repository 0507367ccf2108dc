"""The least rights that trueup needs on MariaDB or MySQL, as SQL to review and to run there as an administrator."""

from __future__ import annotations

from connectors.rights import Login, is_glob
from connectors.sql.quoting import backticked


def rights(login: Login, *, mariadb: bool) -> list[str]:
    """Statements and comments, one a line. Accounts are made locked: without a password anybody could log in.

    What an administrator runs on the leader also reaches its replicas, if they replicate the `mysql` database. trueup
    writes no repairs to these engines, so there is nothing for a login that `writes`.
    """
    if login.writes:
        return ["-- trueup writes no repairs to this engine: their events tell whoever does. Nothing to grant."]
    user = f"{literal(login.user)}@'%'"
    found = [
        "-- trueup only reads. Give it a password and unlock it:",
        f"-- ALTER USER {user} IDENTIFIED BY '...' ACCOUNT UNLOCK;",
        f"CREATE USER IF NOT EXISTS {user} ACCOUNT LOCK;",
        *(f"GRANT SELECT ON {_database(schema)} TO {user};" for schema in login.schemas),
    ]
    if login.decodes:
        found.append(f"GRANT REPLICATION SLAVE ON *.* TO {user};  -- the change stream: it reads the binlog")
    if mariadb:
        if login.leader:
            found.append(f"GRANT BINLOG MONITOR ON *.* TO {user};  -- how far its binlog was written")
        else:
            found += [
                f"GRANT REPLICA MONITOR ON *.* TO {user};  -- is it a replica, and how far",
                f"GRANT SELECT ON mysql.gtid_slave_pos TO {user};  -- what a read showed at most",
            ]
    else:
        why = "where its binlog ends" if login.leader else "is it a replica, and how far"
        found.append(f"GRANT REPLICATION CLIENT ON *.* TO {user};  -- {why}")
    return [*found, f"-- GRANT PROCESS ON *.* TO {user};  -- for a limit on load alone: statements of others"]


def tables_of(database: str) -> str:
    """The pattern that means the tables of a URL's database; of every database where it names none."""
    return f"{database}.*" if database else "*"


def literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def _database(schema: str) -> str:
    """A pattern as GRANT spells it: there `_` and `%` of a name stand for themselves behind a backslash alone
    (https://dev.mysql.com/doc/refman/8.0/en/grant.html); `my_shop` would grant `myxshop`, too."""
    if schema == "*":
        return "*.*"
    name = schema.replace("_", "\\_").replace("%", "\\%")
    if is_glob(schema):
        name = name.replace("*", "%").replace("?", "_")
    return f"{backticked(name)}.*"
