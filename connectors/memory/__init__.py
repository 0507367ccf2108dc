"""A world in memory behind the same Protocols: a leader, followers, a log and a stream that behave as real ones do.

It exists for the simulation and for the contract suites, and is honest about the awkward parts: a commit record is in
the log before its transaction is visible, a follower shows and publishes in two steps, the stream delivers again.
Nothing here moves by itself: whoever drives the world calls its steps, or gives the replicas a `happen` that is called
wherever real time would pass.
"""
