"""The error that a check raises."""


class BrokenPromiseError(Exception):
    """A promise does not hold; the message begins with its number."""
