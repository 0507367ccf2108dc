"""The least rights that trueup needs on a PostgreSQL server, as SQL to review and to run there as an administrator."""

from __future__ import annotations

from collections.abc import Iterator

from connectors.rights import Login, is_glob
from connectors.sql.quoting import quoted


def rights(login: Login) -> list[str]:
    """Statements and comments, line by line; where schemas are a pattern, a block finds them.

    A login that only reads is read-only by default too. One that `decodes` may replicate, and the publication is made
    here, because that takes its owner's rights.
    """
    role = quoted(login.user)
    found = [
        f"-- {_duty(login)} Set the password with psql's \\password {role}.",
        f"CREATE ROLE {role} LOGIN{' REPLICATION' if login.decodes else ''};",
    ]
    if login.database:
        found.append(f"GRANT CONNECT ON DATABASE {quoted(login.database)} TO {role};")
    if not login.writes:
        found += [
            f"GRANT pg_monitor TO {role};  -- replication state: positions, lag, slots",
            f"ALTER ROLE {role} SET default_transaction_read_only = on;",
        ]
    for schema in login.schemas:
        found += _matching(schema, login) if is_glob(schema) else _named(schema, login)
    if login.writes:
        found += [
            "-- From version 15 on, so that ordinary triggers and foreign keys stay silent, as under replication:",
            f"-- GRANT SET ON PARAMETER session_replication_role TO {role};",
        ]
    elif not login.leader:
        found += [
            "-- How far a subscriber is, told exactly; worth having and not required:",
            f"GRANT EXECUTE ON FUNCTION pg_replication_origin_progress(text, boolean) TO {role};",
        ]
    if login.decodes:
        found += [
            "-- The change stream. Creating the publication needs its owner's rights, so do it here once.",
            "CREATE PUBLICATION trueup FOR ALL TABLES;",
            "-- Bound what an abandoned slot can retain (needs a reload):",
            "-- ALTER SYSTEM SET max_slot_wal_keep_size = '10GB';",
        ]
    return found


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _duty(login: Login) -> str:
    if login.writes:
        return "This login writes repairs."
    return "trueup only reads." if login.leader else "On a subscriber; a physical standby has its leader's. Reads only."


def _statements(role: str, schema: str, login: Login) -> tuple[str, str, str]:
    verbs = "SELECT, INSERT, UPDATE, DELETE" if login.writes else "SELECT"
    return (
        f"GRANT USAGE ON SCHEMA {schema} TO {role}",
        f"GRANT {verbs} ON ALL TABLES IN SCHEMA {schema} TO {role}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT {verbs} ON TABLES TO {role}",
    )


def _named(schema: str, login: Login) -> Iterator[str]:
    usage, present, to_come = _statements(quoted(login.user), quoted(schema), login)
    yield from (f"{usage};", f"{present};", f"{to_come};  -- tables to come, by you")


def _matching(schema: str, login: Login) -> Iterator[str]:
    """The server alone knows which schemas these are: it is asked there, and the same statements run for each."""
    yield f"DO $rights$ DECLARE found text; BEGIN  -- every schema like {schema}, but for the system's"
    yield f"  FOR found IN SELECT nspname FROM pg_namespace WHERE nspname LIKE {literal(_like(schema))}"
    yield "    AND nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema' LOOP"
    for statement in _statements("%2$I", "%1$I", login):
        yield f"    EXECUTE format({literal(statement)}, found, {literal(login.user)});"
    yield "  END LOOP; END $rights$;"


def _like(glob: str) -> str:
    escaped = glob.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return escaped.replace("*", "%").replace("?", "_")
