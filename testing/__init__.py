"""What the tests and the benchmark share: brokers, the network before them, the load, waiting, golden cases.

Knows nothing of who uses it: it imports neither ``tests`` nor ``bench``, and neither of the two imports the
other (``tests/house.py`` holds that).
"""
