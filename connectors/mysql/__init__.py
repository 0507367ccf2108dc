"""MySQL 8 and MariaDB 10.6 and later, as leader and as replica: one folder, since they differ in few statements.

The rights that trueup needs, none of which lets it write. On MySQL:

    GRANT SELECT ON shop.* TO trueup;
    GRANT REPLICATION CLIENT ON *.* TO trueup;      -- followers: is it a replica at all

On MariaDB:

    GRANT SELECT ON shop.* TO trueup;
    GRANT BINLOG MONITOR ON *.* TO trueup;          -- the leader: how far its binlog was written
    GRANT REPLICA MONITOR ON *.* TO trueup;         -- followers: is it a replica at all
    GRANT SELECT ON mysql.gtid_slave_pos TO trueup; -- followers: what a read showed at most

`GRANT PROCESS` lets the brake see statements of other users.
"""
