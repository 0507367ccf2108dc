#!/bin/sh
# A logical subscriber: the same tables, filled by a subscription. Runs once, after shop.sql.
set -eu
psql -v ON_ERROR_STOP=1 -v password="$POSTGRES_PASSWORD" \
    -v leader="${LEADER:-host=leader} dbname=shop user=replicator password=$POSTGRES_PASSWORD" \
    --username postgres --dbname shop <<'SQL'
create role trueup login password :'password';
create role trueup_repair login password :'password';            -- who may write: only here, only repairs
grant pg_monitor to trueup;
grant select on all tables in schema public to trueup;
grant select, insert, update, delete on all tables in schema public to trueup_repair;
create subscription shop connection :'leader' publication shop;
SQL
