"""What the native engine offers to Python; checked for types also where it is not installed."""

SOURCES: str
"""Hash of the sources that the library was built from: eight hexadecimal digits."""
