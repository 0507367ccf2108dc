"""What goes wrong in the demo: four ways in which a row of the subscriber can come to differ, and a broken invariant.

Two changes of the leader are lost on the way (a replica trigger swallows them, as an applier with a bug would), two
rows are changed behind replication's back. `PLANTED` says what must be found: nothing else may be.
"""

from __future__ import annotations

from connectors.embedded import Cluster, Subscriber
from verifier.drift import Kind
from verifier.table import Key, TableName

DATABASE = "shop"
ORDERS, ITEMS = TableName("public", "orders"), TableName("public", "items")
LOST_UPDATE, LOST_DELETE, CHANGED, ROGUE = 11, 22, 33, 9_000_001

PLANTED: dict[tuple[TableName, Key], tuple[Kind, str]] = {
    (ORDERS, (LOST_UPDATE,)): (Kind.MISMATCHED, "lost update"),
    (ORDERS, (LOST_DELETE,)): (Kind.EXTRA, "lost delete"),
    (ORDERS, (ROGUE,)): (Kind.EXTRA, "rogue insert"),
    (ITEMS, (CHANGED, 1)): (Kind.MISMATCHED, "changed column"),
}

_SWALLOW = f"""
create function swallow() returns trigger language plpgsql as $$
begin
  if old.id in ({LOST_UPDATE}, {LOST_DELETE}) then return null; end if;
  if tg_op = 'DELETE' then return old; end if;
  return new;
end $$;
create trigger swallow before update or delete on orders for each row execute function swallow();
alter table orders enable replica trigger swallow;
"""


def plant(leader: Cluster, subscriber: Subscriber) -> None:
    """Do all of it; the leader's own changes are those of an ordinary application."""
    subscriber.cluster.sql(_SWALLOW, database=DATABASE)
    leader.sql(f"update orders set status = 'refunded', total = 0 where id = {LOST_UPDATE}", database=DATABASE)
    leader.sql(f"delete from orders where id = {LOST_DELETE}", database=DATABASE)
    subscriber.wait_applied()
    subscriber.cluster.sql("drop trigger swallow on orders; drop function swallow()", database=DATABASE)
    subscriber.cluster.sql(
        f"insert into orders values ({ROGUE}, 7, 'new', 1, 'typed in by hand', now())", database=DATABASE
    )
    subscriber.cluster.sql(f"update items set quantity = 99 where order_id = {CHANGED}", database=DATABASE)


def break_invariant(leader: Cluster) -> None:
    """A booking without its balance: right on every replica, and wrong as business."""
    leader.sql("insert into ledger (account, amount) values (42, 13.37)", database=DATABASE)
