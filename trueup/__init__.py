"""trueup: the front door. Command line, daemon, services, and the only place that wires the other rooms."""

__version__ = "0.1.0"
