"""PostgreSQL 13 to 18 as leader, physical standby and logical subscriber.

The rights that trueup needs, none of which lets it write:

    GRANT CONNECT ON DATABASE ... TO trueup;  GRANT USAGE ON SCHEMA ... TO trueup;  GRANT SELECT ON ... TO trueup;
    GRANT pg_monitor TO trueup;                                                    -- lag, wal receiver, settings
    GRANT EXECUTE ON FUNCTION pg_replication_origin_progress(text, boolean) TO trueup;   -- on subscribers

The last one is worth having and not required: see `connectors.postgres.positions`.
"""
