"""The native library, seen from Python: whether it is there, and whether it is the one for this program."""
