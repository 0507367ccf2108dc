"""The services of one group, each with `tick(now)`: follow, verify, scan, check, repair, relay, watch.

A tick does a bounded piece of work and returns when it wants to be called again; only the daemon owns threads, and the
simulation calls the same ticks in one. Services of a group share what `group.GroupWorld` holds and nothing else.
"""
