"""Writes into the wheel of sessionizer which native library is the one for it.

Decides nothing: the hash is that of ``worker/native/sources.py``. Knows nothing of the library. Invariant:
the wheel that is built from a checkout names the hash of the native sources in it.
"""

import runpy
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class NativeSourcesHook(BuildHookInterface[Any]):
    """Called by hatchling before it builds a wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add ``worker/native/sources.txt``; not to an editable install, which has the sources."""
        if version == "editable":
            return
        top = Path(self.root)
        sources = runpy.run_path(str(top / "worker" / "native" / "sources.py"))
        recorded = Path(tempfile.mkdtemp()) / "sources.txt"
        recorded.write_text(sources["sources_hash"](top) + "\n")
        build_data["force_include"][str(recorded)] = "worker/native/sources.txt"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        """Remove what was made for the wheel."""
        for made, place in build_data["force_include"].items():
            if place == "worker/native/sources.txt":
                Path(made).unlink()
                Path(made).parent.rmdir()
