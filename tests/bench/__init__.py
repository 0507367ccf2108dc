"""Measurements on real servers: how fast an audit is, how soon drift is seen, what the daemon costs."""
