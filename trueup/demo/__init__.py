"""`trueup demo`: the whole loop on real servers of its own, in a minute, with nothing installed and nothing left behind."""
