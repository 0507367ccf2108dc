-- First rows and what is published: on the leader alone.
insert into orders (id, customer, total) select g, 'customer ' || g % 100, (g * 37 % 10000) / 100.0
    from generate_series(1, 10000) g;
insert into items select g, line, 'sku-' || (g * line) % 97, 1 + g % 3
    from generate_series(1, 10000) g, generate_series(1, 2) line;
insert into inventory select 'sku-' || g, 1000 from generate_series(0, 96) g;
insert into ledger select id, id % 100, total from orders;
insert into balances select account_id, sum(amount) from ledger group by 1;
create publication shop for table orders, items, inventory, ledger, balances;              -- the subscriber's
create publication dbz_publication for table orders, items, inventory, ledger, balances;   -- Debezium's
