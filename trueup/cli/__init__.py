"""The command line: parses, calls, prints. Nothing else in the house prints.

Results go to standard output, progress and logs to standard error. Each command imports what it needs when it runs,
so that `trueup --help` stays quick.
"""
