"""Every interleaving of a few transactions, a follower and a rule of evidence, explored exhaustively."""
