"""The life of a partition: fence, restore, seek, step, commit, close. Meets Kafka and RocksDB only through
ports.
"""
