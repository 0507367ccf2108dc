"""The demo's configuration: an ordinary trueup.yaml, written out so that one can look at it."""

from __future__ import annotations

from pathlib import Path

TEMPLATE = """\
instance: demo
journal: journal.db
http: {{listen: "127.0.0.1:{port}"}}
log: {{level: error}}
groups:
  - name: shop
    leader: {{name: leader, url: "{leader}"}}
    followers:
      - {{name: standby, url: "{standby}"}}
      - {{name: subscriber, url: "{subscriber}"}}
    tables: {{include: ["public.*"]}}
    stream: {{kind: pgoutput, pgoutput: {{slot: trueup, publication: trueup, create: true}}}}
    scan: {{period: 4s, chunk_time: 250ms}}
    invariants:
      - name: ledger_equals_balances
        kind: equal_by_key
        every: 2s
        left: {{endpoint: leader, sql: "select account, sum(amount) from public.ledger group by account"}}
        right: {{endpoint: leader, sql: "select account, balance from public.balances where balance <> 0"}}
      - name: stock_not_negative
        kind: non_negative
        every: 2s
        endpoint: leader
        table: public.inventory
        columns: [on_hand]
        key: [sku]
    repair: {{mode: approve}}
    events: {{kind: jsonl, path: events.jsonl, relay_every: 500ms}}
"""


def write(folder: Path, *, leader: str, standby: str, subscriber: str, port: int) -> Path:
    """`trueup.yaml` in `folder`, readable by its owner alone: the URLs hold the throw-away servers' password."""
    path = folder / "trueup.yaml"
    path.touch(mode=0o600)
    path.write_text(TEMPLATE.format(leader=leader, standby=standby, subscriber=subscriber, port=port))
    return path
