"""Every name of the Kafka client that the worker uses and aiokafka does not promise.

Decides nothing: it gives the rest of the package public, typed names for what the client keeps to itself, and
says of each why the client's public API does not do, and which test holds it. All of it was read in
``READ_IN``. Knows nothing of what the names are used for. Invariant: no other module of the worker reaches
behind the client's public names (``tests/house.py``), and ``tests/contract/test_client_internals.py`` fails
with a list of what to read again when another version of the client changes or drops one of them.
"""

READ_IN = "0.14.0"
"""The version of aiokafka in which all of this was read."""
