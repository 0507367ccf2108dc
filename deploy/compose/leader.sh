#!/bin/sh
# Roles and rights on the leader, once, when its data directory is made.
set -eu
psql -v ON_ERROR_STOP=1 -v password="$POSTGRES_PASSWORD" --username postgres --dbname shop <<'SQL'
create role replicator login replication password :'password';  -- the standby and the subscriber
create role trueup login password :'password';                  -- trueup only reads
grant pg_monitor to trueup;
create table trueup_heartbeat (id integer primary key, at timestamptz not null);  -- Debezium beats here when idle
grant select on all tables in schema public to trueup, replicator;

-- Debezium keeps its publication in step with the tables that it follows, for which it has to own both.
create role shop_owner;
create role debezium login replication password :'password' in role shop_owner;
grant create on database shop to debezium;
alter table orders owner to shop_owner;
alter table items owner to shop_owner;
alter table inventory owner to shop_owner;
alter table ledger owner to shop_owner;
alter table balances owner to shop_owner;
alter table trueup_heartbeat owner to shop_owner;
alter publication dbz_publication owner to debezium;
SQL
echo "host replication all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
