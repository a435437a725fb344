"""The ports on real things: Kafka by aiokafka, RocksDB by rocksdict, files, the system's clock."""
