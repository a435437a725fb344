"""These tests compare the native library with the readable one: without it there is nothing to compare."""

from worker.native.library import native_library

collect_ignore_glob = [] if native_library().module else ["test_*.py"]
