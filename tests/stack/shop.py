"""The shop that the developer's stack holds: its tables, a few rows, and a trueup.yaml that names every endpoint."""

from __future__ import annotations

from pathlib import Path

from connectors.embedded import Cluster, Subscriber, subscriber_of
from stack.debezium import SIGNAL_TABLE_SQL

DATABASE = "shop"
TABLES = ("customers", "orders", "items", "payments", "ledger", "balances")
_SCHEMA = Path(__file__).with_name("shop.sql")

_ROWS = """
insert into customers (email, name) select 'c' || g || '@example.org', 'Customer ' || g from generate_series(1, 500) g;
insert into orders (customer_id, amount) select 1 + g % 500, (g * 37 % 10000) / 100.0 from generate_series(1, 5000) g;
insert into items select g, line, 'sku-' || (g * line) % 97, 1 + g % 3
    from generate_series(1, 5000) g, generate_series(1, 2) line;
insert into payments (order_id, amount, details) select id, amount, jsonb_build_object('by', 'card') from orders;
insert into ledger (account_id, amount) select customer_id, amount from orders;
insert into balances select account_id, sum(amount) from ledger group by 1;
"""


def open_shop(leader: Cluster, subscriber: Cluster) -> Subscriber:
    """Make the shop on the leader and subscribe `subscriber` to it; the initial copy is done when this returns."""
    schema = _SCHEMA.read_text()
    leader.sql(f"create database {DATABASE}")
    leader.sql(schema + SIGNAL_TABLE_SQL + _ROWS, database=DATABASE)
    return subscriber_of(leader, DATABASE, schema=schema, tables=TABLES, name="subscriber", cluster=subscriber)


def configuration(place: Path, ports: dict[str, int], subscription: str, *, connector: str) -> str:
    """Text of a trueup.yaml for the stack in `place`. `ports`: leader, standby, subscriber, kafka, connect."""
    url = "postgresql://postgres@127.0.0.1:{}/" + DATABASE
    tables = ", ".join(f"public.{table}" for table in TABLES)
    return f"""\
# Written by `python -m stack up`; valid until `down`.
instance: stack
journal: {place / "trueup.db"}
groups:
  - name: {connector}
    leader:
      url: {url.format(ports["leader"])}
      password: file:{place / "password"}
    followers:
      - name: standby
        url: {url.format(ports["standby"])}
        password: file:{place / "password"}
      - name: subscriber
        url: {url.format(ports["subscriber"])}
        password: file:{place / "password"}
        subscription: {subscription}
    tables:
      include: [{tables}]
    stream:
      kind: kafka
      kafka:
        bootstrap_servers: 127.0.0.1:{ports["kafka"]}
        topic_prefix: {connector}
        connect_url: http://127.0.0.1:{ports["connect"]}
        connector: {connector}
        slot: dbz_{connector}
        publication: dbz_{connector}
    invariants:
      - name: ledger
        kind: equal_by_key
        left: {{endpoint: leader, sql: "select account_id, sum(amount) from ledger group by 1"}}
        right: {{endpoint: leader, sql: "select account_id, balance from balances"}}
        every: 30s
        grace: 5s
    events:
      kind: kafka
"""
