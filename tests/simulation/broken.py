"""What a check raises."""


class BrokenPromiseError(Exception):
    """The message begins with the promise that does not hold."""
