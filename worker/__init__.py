"""sessionizer: turns raw clickstream batches into enriched events, exactly once."""

__version__ = "0.1.0"

DISTRIBUTION = "sessionizer"
"""By this the console script tells this package from others that are called ``worker``."""
