"""Several workers under one command: a supervisor, and one process a core.

Each process is a whole worker with a slot of its own: a number, a directory, a member id and its share of the
memory. The supervisor knows nothing of events, topics or partitions: the consumer group parts the work.
"""
