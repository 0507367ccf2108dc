#!/bin/sh
# A physical standby: copies the leader once, then follows it.
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    rm -rf "${PGDATA:?}"/*  # what an interrupted copy left behind
    PGPASSWORD="$POSTGRES_PASSWORD" pg_basebackup --host leader --username replicator --pgdata "$PGDATA" \
        --wal-method stream --write-recovery-conf --checkpoint fast
    chmod 700 "$PGDATA"
fi
exec postgres -c hot_standby=on -c track_commit_timestamp=on
