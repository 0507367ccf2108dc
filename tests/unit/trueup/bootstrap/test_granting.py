"""The rights that `trueup init` prints: the URL's login, the patterns' schemas, the engine's own SQL, and no more."""

from __future__ import annotations

import pytest

from connectors.rights import schemas_of
from trueup.bootstrap.granting import default_tables, granted


def statements(sql: str) -> list[str]:
    """What a server would run, without its comments."""
    return [line.partition("  --")[0] for line in sql.splitlines() if line and not line.startswith("--")]


def test_postgresql_the_urls_login_and_the_patterns_schemas() -> None:
    sql = granted(
        'postgresql://odd%22name@h/shop', {"eu": "postgresql://sub@h2/copy"}, ["sales.*", "hr.staff", "!sales.tmp"]
    )  # fmt: skip
    leader, _, follower = sql.partition("-- follower eu")
    assert statements(leader) == [
        'CREATE ROLE "odd""name" LOGIN;',
        'GRANT CONNECT ON DATABASE "shop" TO "odd""name";',
        'GRANT pg_monitor TO "odd""name";',
        'ALTER ROLE "odd""name" SET default_transaction_read_only = on;',
        'GRANT USAGE ON SCHEMA "hr" TO "odd""name";',
        'GRANT SELECT ON ALL TABLES IN SCHEMA "hr" TO "odd""name";',
        'ALTER DEFAULT PRIVILEGES IN SCHEMA "hr" GRANT SELECT ON TABLES TO "odd""name";',
        'GRANT USAGE ON SCHEMA "sales" TO "odd""name";',
        'GRANT SELECT ON ALL TABLES IN SCHEMA "sales" TO "odd""name";',
        'ALTER DEFAULT PRIVILEGES IN SCHEMA "sales" GRANT SELECT ON TABLES TO "odd""name";',
    ]
    assert 'CREATE ROLE "sub" LOGIN;' in statements(follower)
    assert 'GRANT CONNECT ON DATABASE "copy" TO "sub";' in statements(follower)
    assert 'GRANT EXECUTE ON FUNCTION pg_replication_origin_progress(text, boolean) TO "sub";' in statements(follower)
    for more in ("public", "REPLICATION", "INSERT", "PUBLICATION"):
        assert more not in sql


def test_postgresql_reading_the_log_and_writing_repairs_are_rights_of_their_own() -> None:
    urls = "postgresql://reader@h/shop", {"eu": "postgresql://reader@h2/shop"}
    leader, _, follower = granted(*urls, ["public.*"], decodes=True, repair_user="fixer").partition("-- follower eu")
    assert statements(leader)[0] == 'CREATE ROLE "reader" LOGIN REPLICATION;'
    assert statements(leader)[-1] == "CREATE PUBLICATION trueup FOR ALL TABLES;"
    assert "fixer" not in leader
    reads, _, writes = follower.partition("This login writes repairs")
    assert "INSERT" not in reads
    assert statements("--" + writes) == [
        'CREATE ROLE "fixer" LOGIN;',
        'GRANT CONNECT ON DATABASE "shop" TO "fixer";',
        'GRANT USAGE ON SCHEMA "public" TO "fixer";',
        'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "public" TO "fixer";',
        'ALTER DEFAULT PRIVILEGES IN SCHEMA "public" GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO "fixer";',
    ]


def test_mariadb_has_its_own_sql() -> None:
    sql = granted("mariadb://aud%27it@h/shop", {"eu": "mariadb+pymysql://copy@h2/shop"}, ["shop.*"], decodes=True)
    assert statements(sql) == [
        "CREATE USER IF NOT EXISTS 'aud''it'@'%' ACCOUNT LOCK;",
        "GRANT SELECT ON `shop`.* TO 'aud''it'@'%';",
        "GRANT REPLICATION SLAVE ON *.* TO 'aud''it'@'%';",
        "GRANT BINLOG MONITOR ON *.* TO 'aud''it'@'%';",
        "CREATE USER IF NOT EXISTS 'copy'@'%' ACCOUNT LOCK;",
        "GRANT SELECT ON `shop`.* TO 'copy'@'%';",
        "GRANT REPLICA MONITOR ON *.* TO 'copy'@'%';",
        "GRANT SELECT ON mysql.gtid_slave_pos TO 'copy'@'%';",
    ]


def test_mysql_and_a_file() -> None:
    sql = granted("mysql://u@h/shop", {"f": "sqlite:////var/f.db"}, ["sh_p*.*", "my_shop.*"], repair_user="fixer")
    assert statements(sql) == [
        "CREATE USER IF NOT EXISTS 'u'@'%' ACCOUNT LOCK;",
        "GRANT SELECT ON `my\\_shop`.* TO 'u'@'%';",
        "GRANT SELECT ON `sh\\_p%`.* TO 'u'@'%';",
        "GRANT REPLICATION CLIENT ON *.* TO 'u'@'%';",
    ]
    assert "the right to read /var/f.db" in sql


@pytest.mark.parametrize(
    ("patterns", "schemas"),
    [
        (["a.x", "b.*", "a.y"], ("a", "b")),
        (["a.x", "orders"], ("*",)),
        (["!a.x"], ("*",)),
        (["*.x", "a.y"], ("*",)),
        (["a?.x"], ("a?",)),
    ],
)
def test_which_schemas_patterns_reach(patterns: list[str], schemas: tuple[str, ...]) -> None:
    assert schemas_of(patterns) == schemas


@pytest.mark.parametrize(
    ("leader", "pattern"),
    [
        ("postgresql://u@h/shop", "public.*"),
        ("mariadb://u@h/shop", "shop.*"),
        ("mysql://u@h", "*"),
        ("sqlite:///shop.db", "*"),
    ],
)
def test_what_a_draft_includes(leader: str, pattern: str) -> None:
    assert default_tables(leader) == pattern
