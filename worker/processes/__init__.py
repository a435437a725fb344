"""``run --processes``: several worker processes under one supervisor.

Each process is a whole worker in a slot of its own: a number, a state directory, a member id and a share of
the memory. The supervisor knows nothing of events, topics or partitions: the consumer group divides the work.
"""
