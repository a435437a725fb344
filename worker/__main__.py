"""``python -m worker``: the same as the console script ``sessionizer``."""

from worker.cli.main import main

main()
