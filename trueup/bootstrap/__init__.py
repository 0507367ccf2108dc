"""The only place that wires: from settings and command-line words to servers, streams, journals and services."""
