"""The life of a partition: fence, restore, check, seek, process, commit, close.

Uses Kafka and RocksDB through ``worker.ports`` only.
"""
