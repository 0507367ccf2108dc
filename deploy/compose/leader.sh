#!/bin/sh
# Roles and rights on the leader, once, when its data directory is made.
set -eu
psql -v ON_ERROR_STOP=1 -v password="$POSTGRES_PASSWORD" --username postgres --dbname shop <<'SQL'
create role replicator login replication password :'password';  -- the standby and the subscriber
create role trueup login replication password :'password';      -- trueup reads; Debezium decodes with the same login
grant pg_monitor to trueup;
grant select on all tables in schema public to trueup, replicator;
SQL
echo "host replication all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
