-- A small shop, the same on leader and subscriber. Every table has a primary key.
create table orders (
    id bigint primary key,
    customer text not null,
    status text not null default 'new',
    total numeric(12, 2) not null,
    note text,
    updated_at timestamptz not null default now()
);
create table items (
    order_id bigint not null,
    line int not null,
    sku text not null,
    quantity int not null,
    primary key (order_id, line)
);
create table inventory (sku text primary key, on_hand int not null);
create table ledger (id bigint primary key, account_id bigint not null, amount numeric(12, 2) not null);
create table balances (account_id bigint primary key, balance numeric(12, 2) not null);
