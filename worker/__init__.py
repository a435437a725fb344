"""sessionizer: turns raw clickstream batches into enriched events, exactly once."""

__version__ = "0.1.0"
