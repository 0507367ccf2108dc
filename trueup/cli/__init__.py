"""The command line: parses, calls, prints. Nothing else in the house prints.

Results go to standard output, progress and logs to standard error. Each command imports what it needs when it runs,
so that `trueup --help` stays quick.

Garbage in cycles is looked for seldom: hardly any is made, while starting makes many objects that stay. Looking after
every 700 objects was a seventh of the start and more with ten thousand rows that differ; after every 20,000 it still
was a sixteenth of the start.
"""

import gc

gc.set_threshold(200_000, 20, 100)
