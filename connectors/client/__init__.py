"""What engines share whose rows trueup hashes itself: pure code, no driver."""
