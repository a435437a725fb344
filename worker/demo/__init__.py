"""``sessionizer demo``: generated traffic, one worker, and an audit of every event."""
