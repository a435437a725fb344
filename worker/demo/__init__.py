"""A show of the worker on a laptop: invented traffic in, and what came of every event of it."""
