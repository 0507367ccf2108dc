"""`trueup demo`: the whole loop on real servers of its own, in half a minute, and nothing left behind."""
