"""A world driven by one seeded random source and one clock: histories, faults, and trueup's own services over them."""
