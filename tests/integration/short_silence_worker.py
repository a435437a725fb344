"""``sessionizer`` whose silent partitions commit once a second not an hour. Run it as a module."""

import functools

from worker import assembly
from worker.cli.main import main
from worker.task.commit_policy import CommitPolicy

if __name__ == "__main__":
    assembly.CommitPolicy = functools.partial(CommitPolicy, silence_s=1.0)  # type: ignore[attr-defined,assignment]
    main()
