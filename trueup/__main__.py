"""`python -P -m trueup`: the same as the console script (-P keeps the working directory off the path)."""

from trueup.cli.main import main

main()
