"""The console script ``sessionizer``: loads the package ``worker`` that was installed with it, and no other.

``worker`` is a common name. A module of that name in the working directory comes first with ``PYTHONPATH=.``,
and another distribution may overwrite ours. So this module, whose name is unique, loads the package beside
it, whatever the import path says. Knows nothing of what the commands do. The invariant: either our ``worker``
is loaded, or one line on stderr says which other package is in its place.
"""

import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from pathlib import Path
from typing import NoReturn

_HOME = str(Path(__file__).absolute().parent)
_MARK = 'DISTRIBUTION = "sessionizer"'


def main() -> None:
    """Run the command that the arguments name, and exit with its code; 1 where ``worker`` is not ours."""
    _load_own_package()
    try:
        from worker.cli.main import main as run
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "worker":
            raise  # a missing library: the error names it
        _refuse(str(error))
    run()


def _load_own_package() -> None:
    """Make ``import worker`` mean the package beside this module."""
    spec = PathFinder.find_spec("worker", [_HOME])
    if spec is None or spec.loader is None or spec.origin is None:
        _refuse("it is missing")
    get_source = getattr(spec.loader, "get_source", None)
    source = None if get_source is None else get_source("worker")
    if source is not None and _MARK not in source:  # checked before any of it runs
        _refuse(f"{spec.origin} is another program's")
    loaded = sys.modules.get("worker")
    if loaded is not None and getattr(loaded, "__file__", None) == spec.origin:
        return
    for name in [name for name in sys.modules if name.partition(".")[0] == "worker"]:
        del sys.modules[name]
    package = sys.modules["worker"] = module_from_spec(spec)
    spec.loader.exec_module(package)


def _refuse(reason: str) -> NoReturn:
    sys.exit(
        f"sessionizer: the package `worker` in {_HOME} is not sessionizer's: {reason}. Another distribution "
        "with a package of that name was installed over it, or removed a part of it: install sessionizer "
        "into a virtual environment of its own"
    )


if __name__ == "__main__":
    main()
