"""A shop that is open: a few writers that place, pay, ship and cancel orders on the leader, all the time.

Orders up to `RESERVED` are left alone, so that the damage done to them is not healed by the next write. Every
transaction books what it pays, in the ledger and in the balance, so the two agree whenever somebody looks.
"""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field

import psycopg

RESERVED = 100
ACCOUNTS = 200
SKUS = 50
_PAUSE_SECONDS = 0.004

LOAD = f"""
insert into inventory select 'sku-' || g, 1000000 from generate_series(1, {SKUS}) g;
insert into orders select g, 1 + g % {ACCOUNTS}, 'new', 10 + g % 90, case when g % 3 = 0 then 'gift' end, now()
  from generate_series(1, 20000) g;
insert into items select g, 1, 'sku-' || (1 + g % {SKUS}), 1 + g % 3 from generate_series(1, 20000) g;
insert into payments (order_id, amount) select g, 10 + g % 90 from generate_series(1, 10000) g;
insert into ledger (account, amount) select 1 + g % {ACCOUNTS}, 10 + g % 90 from generate_series(1, 10000) g;
insert into balances select a, coalesce((select sum(amount) from ledger where account = a), 0)
  from generate_series(1, {ACCOUNTS}) a;
"""


@dataclass(slots=True)
class Shop:
    """Writers in threads. `changes` counts row changes committed; `error` is the first that ended a writer."""

    dsn: str
    writers: int = 3
    seed: int = 20
    changes: int = 0
    error: str | None = None
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _next: int = 20_001

    def open(self) -> None:
        for number in range(self.writers):
            thread = threading.Thread(target=self._write, args=(random.Random(self.seed + number),), daemon=True)
            self._threads.append(thread)
            thread.start()

    def close(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(10)

    def _write(self, chance: random.Random) -> None:
        try:
            with psycopg.connect(self.dsn, application_name="shop") as connection:
                while not self._stop.is_set():
                    changed = self._transaction(connection, chance)
                    with self._lock:
                        self.changes += changed
                    self._stop.wait(chance.random() * 2 * _PAUSE_SECONDS)
        except psycopg.Error as error:
            self.error = self.error or str(error)

    def _transaction(self, connection: psycopg.Connection, chance: random.Random) -> int:
        """One business transaction, sometimes rolled back; returns the rows it changed."""
        kind = chance.random()
        if kind < 0.45:
            changed = self._place(connection, chance)
        elif kind < 0.85:
            order = chance.randint(RESERVED + 1, self._next - 1)
            status = chance.choice(("packed", "shipped", "delivered"))
            done = connection.execute("update orders set status = %s where id = %s", (status, order))
            changed = done.rowcount
        else:
            order = chance.randint(RESERVED + 1, self._next - 1)
            changed = connection.execute("delete from items where order_id = %s", (order,)).rowcount
            changed += connection.execute("delete from orders where id = %s", (order,)).rowcount
        if chance.random() < 0.05:
            connection.rollback()
            return 0
        connection.commit()
        return changed

    def _place(self, connection: psycopg.Connection, chance: random.Random) -> int:
        with self._lock:
            order = self._next
            self._next += 1
        account, sku = chance.randint(1, ACCOUNTS), f"sku-{chance.randint(1, SKUS)}"
        amount, quantity = chance.randint(100, 9999) / 100, chance.randint(1, 3)
        connection.execute("insert into orders values (%s, %s, 'new', %s, null, now())", (order, account, amount))
        connection.execute("insert into items values (%s, 1, %s, %s)", (order, sku, quantity))
        connection.execute("insert into payments (order_id, amount) values (%s, %s)", (order, amount))
        connection.execute("insert into ledger (account, amount) values (%s, %s)", (account, amount))
        connection.execute("update balances set balance = balance + %s where account = %s", (amount, account))
        connection.execute("update inventory set on_hand = on_hand - %s where sku = %s", (quantity, sku))
        return 6
