"""sessionizer: turns raw clickstream batches into enriched events, exactly once."""

__version__ = "0.1.0"

DISTRIBUTION = "sessionizer"
"""By this the console script knows its own package from another one that is called ``worker``."""
